package main

// Links to the neighbors: each has a connection that is dialed for ever, and an outbox.

import (
	"context"
	"errors"
	"io"
	"math/rand"
	"net"
	"sync"
	"time"
)

const (
	// Waits between dials: the first, doubling to the last. Also how long a connection has to last to be a good one.
	firstWait = 50 * time.Millisecond
	lastWait  = time.Second
	// Longest time that a dial may take.
	dialTimeout = 5 * time.Second
	// Bytes of updates that are handed to the connection at once.
	pieceBytes = 64 << 10
	// The longest UPDATE line.
	maxUpdate = 512
	// Longest time that the last updates may take when the server stops.
	linkClosing = time.Second
)

type flood struct {
	links []*link
	done  sync.WaitGroup
}

// accepted is a record that has to be flooded, and the link to the server that it came from: nil for a client.
type accepted struct {
	record *record
	from   *link
}

func newFlood(conf *config, rs *records, log *logger) *flood {
	f := &flood{}
	for _, to := range conf.neighbors {
		f.links = append(f.links, &link{
			neighbor: to, self: conf.name, records: rs, log: log, hasSome: make(chan struct{}, 1),
		})
	}
	return f
}

// start keeps the links until the context ends.
func (f *flood) start(ctx context.Context) {
	for _, l := range f.links {
		f.done.Add(1)
		go func(l *link) {
			defer f.done.Done()
			l.keep(ctx)
		}(l)
	}
}

// link returns nil for who is no neighbor.
func (f *flood) link(name []byte) *link {
	for _, l := range f.links {
		if l.neighbor.name == string(name) {
			return l
		}
	}
	return nil
}

// accept waits for nobody but who holds the lock of an outbox.
func (f *flood) accept(batch []accepted) {
	for _, l := range f.links {
		l.put(batch)
	}
}

type link struct {
	neighbor neighbor
	self     string
	records  *records
	log      *logger
	hasSome  chan struct{} // the outbox has some

	mutex  sync.Mutex
	outbox map[string]*record // the newest of each client; nil while the link is down
}

func (l *link) put(batch []accepted) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.outbox == nil {
		return
	}
	for _, a := range batch {
		if a.from == l {
			continue
		}
		// Goroutines that merged one after the other may come here the other way round.
		client := a.record.client()
		if held := l.outbox[client]; held == nil || a.record.isNewer(held) {
			l.outbox[client] = a.record
		}
	}
	if len(l.outbox) > 0 {
		l.wake()
	}
}

func (l *link) wake() {
	select {
	case l.hasSome <- struct{}{}:
	default:
	}
}

func (l *link) keep(ctx context.Context) {
	dialer := net.Dialer{Timeout: dialTimeout}
	wait := firstWait
	said := ""
	for ctx.Err() == nil {
		conn, err := dialer.DialContext(ctx, "tcp", l.neighbor.address)
		if err == nil {
			said = ""
			if lasted := l.use(ctx, conn); lasted > lastWait {
				wait = firstWait
			}
		} else if reason := reasonOf(err); reason != said && ctx.Err() == nil {
			l.log.warn("link to %s down: %s; redialing", l.neighbor.name, reason)
			said = reason
		}
		select {
		// Cut by up to a half, so that servers that went down together do not dial in step.
		case <-time.After(wait/2 + time.Duration(rand.Int63n(int64(wait/2)))):
		case <-ctx.Done():
		}
		if wait *= 2; wait > lastWait {
			wait = lastWait
		}
	}
}

// use speaks until the connection ends, and says how long it has lasted.
func (l *link) use(ctx context.Context, conn net.Conn) (lasted time.Duration) {
	defer conn.Close()
	since := time.Now()
	l.log.info("link to %s up", l.neighbor.name)
	l.setOutbox(make(map[string]*record))
	ended := make(chan error, 1)
	go func() {
		// What comes back is read and dropped. Closing frees a write that waits.
		_, err := io.Copy(io.Discard, conn)
		conn.Close()
		ended <- err
	}()
	spoken := make(chan struct{})
	go func() {
		select {
		case <-ctx.Done():
			// A neighbor that does not read must not keep this server from stopping.
			conn.SetWriteDeadline(time.Now().Add(linkClosing))
		case <-spoken:
		}
	}()
	err := l.speak(ctx, conn, ended)
	close(spoken)
	l.setOutbox(nil)
	l.log.info("link to %s down: %s", l.neighbor.name, reasonOf(err))
	return time.Since(since)
}

func (l *link) setOutbox(outbox map[string]*record) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.outbox = outbox
}

// takeOutbox swaps the outbox for an empty one.
func (l *link) takeOutbox(empty map[string]*record) map[string]*record {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	full := l.outbox
	l.outbox = empty
	return full
}

var errEnded = errors.New("it ended the connection")

// speak sends all records, then what the outbox gets.
func (l *link) speak(ctx context.Context, conn net.Conn, ended <-chan error) error {
	// The outbox is open already, so nothing falls between.
	piece := make([]byte, 0, pieceBytes+maxUpdate)
	err := l.records.each(func(part []*record) (err error) {
		for _, r := range part {
			if piece, err = l.say(conn, piece, r); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	outbox := make(map[string]*record)
	for err == nil {
		outbox = l.takeOutbox(outbox)
		if piece, err = l.sayAll(conn, piece, outbox); err != nil || ctx.Err() != nil {
			break
		}
		select {
		case <-l.hasSome:
		case err = <-ended:
			if err == nil {
				err = errEnded
			}
		case <-ctx.Done():
			// Once more, for what was accepted last.
		}
	}
	return err
}

// sayAll sends what is in the piece and in the outbox, and empties both.
func (l *link) sayAll(conn net.Conn, piece []byte, outbox map[string]*record) (_ []byte, err error) {
	for client, r := range outbox {
		if piece, err = l.say(conn, piece, r); err != nil {
			return piece, err
		}
		delete(outbox, client)
	}
	if len(piece) > 0 {
		_, err = conn.Write(piece)
	}
	return piece[:0], err
}

// say adds a record to the piece, and sends that if it is full.
func (l *link) say(conn net.Conn, piece []byte, r *record) ([]byte, error) {
	piece = r.appendUpdate(piece, l.self)
	if len(piece) < pieceBytes {
		return piece, nil
	}
	_, err := conn.Write(piece)
	return piece[:0], err
}

// reasonOf leaves out the addresses that Go puts into its errors.
func reasonOf(err error) string {
	var operation *net.OpError
	switch {
	case err == nil:
		return "the server stops"
	case errors.As(err, &operation):
		return operation.Op + ": " + operation.Err.Error()
	}
	return err.Error()
}
