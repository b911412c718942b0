package main

// Clients: their connections, and what the commands mean. Each connection has a goroutine.

import (
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"time"
)

const (
	// Room for input: at first, as most connections are idle or send a command at a time; and at most.
	firstInput = 4 << 10
	mostInput  = 64 << 10
	// Bytes of replies that are written at once. A client that does not take them is not read any further.
	mostReplies = 64 << 10
	// Buffers that grew beyond this are given back after the turn.
	keptBytes = 2 * mostReplies
	// What is read and dropped of a client that is closed, so that it gets the last reply.
	discardTime  = 2 * time.Second
	discardBytes = 4 << 20
	// Waits after accept failed, for want of descriptors mostly: the first, doubling to the last.
	firstAcceptWait = 5 * time.Millisecond
	lastAcceptWait  = time.Second
	// Longest time that clients may take for their last replies when the server stops.
	serverClosing = time.Second
)

type server struct {
	conf    *config
	records *records
	flood   *flood
	places  *places
	log     *logger

	mutex       sync.Mutex
	connections map[*net.TCPConn]struct{}
	isStopping  bool
	done        sync.WaitGroup
}

// serve accepts clients until the listener is closed. Go's listeners have the system's longest backlog, 4096 on Linux.
func (s *server) serve(listener *net.TCPListener) {
	wait := firstAcceptWait
	for {
		conn, err := listener.AcceptTCP()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			s.log.warn("accept: %s", reasonOf(err))
			time.Sleep(wait)
			if wait *= 2; wait > lastAcceptWait {
				wait = lastAcceptWait
			}
		default:
			wait = firstAcceptWait
			s.open(conn)
		}
	}
}

func (s *server) open(conn *net.TCPConn) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.isStopping {
		conn.Close()
		return
	}
	if int64(len(s.connections)) >= s.conf.maxConnections {
		go closeGently(conn, []byte("? too many connections\n"))
		return
	}
	s.connections[conn] = struct{}{}
	s.done.Add(1)
	go func() {
		defer s.done.Done()
		newConnection(s, conn).serve()
		s.mutex.Lock()
		delete(s.connections, conn)
		s.mutex.Unlock()
	}()
}

// stop lets each connection answer what it has read.
func (s *server) stop() {
	s.mutex.Lock()
	s.isStopping = true
	for conn := range s.connections {
		conn.SetReadDeadline(time.Now())
		conn.SetWriteDeadline(time.Now().Add(serverClosing))
	}
	s.mutex.Unlock()
	all := make(chan struct{})
	go func() {
		s.done.Wait()
		close(all)
	}()
	select {
	case <-all:
	case <-time.After(serverClosing):
	}
}

type connection struct {
	server    *server
	conn      *net.TCPConn
	peer      string
	isTrusted bool
	replies   int64

	input []byte // its capacity is the room for more
	// What a turn gathers: the clock is read once for all its commands.
	now      int64
	out      []byte
	accepted []accepted
	lines    []byte
	count    int
	stamper  stamper
}

func newConnection(s *server, conn *net.TCPConn) *connection {
	remote := conn.RemoteAddr().(*net.TCPAddr)
	return &connection{
		server:    s,
		conn:      conn,
		peer:      remote.String(),
		isTrusted: remote.IP.IsLoopback(),
		input:     make([]byte, 0, firstInput),
	}
}

var (
	errClientEnded = errors.New("the client ended it")
	errTooLong     = errors.New("a line over max_line")
	errUsedUp      = errors.New("commands_per_connection replies")
	errStopping    = errors.New("the server stops")
)

func (c *connection) serve() {
	c.say("opened")
	err := c.converse()
	c.say("closed: " + reasonOf(err))
}

// converse returns why the connection ended.
func (c *connection) converse() error {
	for {
		readErr := c.read()
		err := c.turn(readErr == io.EOF)
		if err != nil {
			c.handOver()
			closeGently(c.conn, c.out)
			return err
		}
		if err = c.flush(); err == nil {
			err = readErr
		}
		if err != nil {
			c.conn.Close()
			return c.reason(err)
		}
	}
}

func (c *connection) reason(err error) error {
	var timeout net.Error
	switch {
	case err == io.EOF:
		return errClientEnded
	case errors.As(err, &timeout) && timeout.Timeout():
		return errStopping
	}
	return err
}

// read adds to the input, whose room grows with what a client sends at once.
func (c *connection) read() error {
	if len(c.input) == cap(c.input) {
		c.input = append(make([]byte, 0, 2*cap(c.input)), c.input...)
	}
	room := c.input[len(c.input):cap(c.input)]
	count, err := c.conn.Read(room)
	c.input = c.input[:len(c.input)+count]
	return err
}

// turn handles all lines that are there. It returns an error if the connection has to end.
func (c *connection) turn(isAtEnd bool) error {
	c.now = time.Now().UnixNano()
	isFull := len(c.input) == cap(c.input) && cap(c.input) < mostInput
	rest := c.input
	for {
		line, next, found := firstLine(rest, c.server.conf.maxLine, isAtEnd)
		switch found {
		case partial:
			c.keep(rest, isFull)
			return nil
		case tooLong:
			c.invalid(line)
			return errTooLong
		}
		if err := c.handle(line); err != nil {
			return err
		}
		if limit := c.server.conf.commandsPerConnection; limit > 0 && c.replies >= limit {
			return errUsedUp
		}
		if len(c.out) >= mostReplies {
			if err := c.flush(); err != nil {
				return err
			}
		}
		rest = next
	}
}

// keep moves what is no whole line to the front.
func (c *connection) keep(rest []byte, wantsMoreRoom bool) {
	if wantsMoreRoom {
		c.input = append(make([]byte, 0, 2*cap(c.input)), rest...)
	} else {
		c.input = c.input[:copy(c.input[:cap(c.input)], rest)]
	}
}

// handle returns an error if the client is gone.
func (c *connection) handle(line []byte) error {
	command := parse(line)
	switch {
	case command.verb == iamat && command.time-c.now <= int64(c.server.conf.maxAhead):
		c.iamat(line, &command)
	case command.verb == whatsat:
		return c.whatsat(line, &command)
	case command.verb == update && c.isTrusted:
		c.update(line, &command)
	default:
		c.invalid(line)
	}
	return nil
}

func (c *connection) invalid(line []byte) {
	start := len(c.out)
	c.out = appendInvalid(c.out, line)
	c.reply(line, c.out[start:len(c.out)-1], 0)
}

func (c *connection) iamat(line []byte, report *command) {
	s := c.server
	record := newRecord(report, []byte(s.conf.name), c.now-report.time)
	held := s.records.report(record)
	if held == record {
		c.accept(accepted{record: record})
	}
	start := len(c.out)
	c.out = append(c.out, held.at...)
	c.reply(line, c.out[start:len(c.out)-1], 0)
}

func (c *connection) update(line []byte, update *command) {
	s := c.server
	if s.log.wantsTraffic {
		c.beginLine(line)
		c.endLine()
	}
	record := newRecord(update, update.origin, update.skew)
	if s.records.merge(record) == record {
		c.accept(accepted{record, s.flood.link(update.sender)})
	}
}

func (c *connection) whatsat(line []byte, lookup *command) error {
	record := c.server.records.get(lookup.client)
	if record == nil {
		c.invalid(line)
		return nil
	}
	json := []byte(noPlaces)
	if lookup.bound > 0 {
		// The look-up may take long: what came before it is answered first.
		if err := c.flush(); err != nil {
			return err
		}
		json = c.server.places.near(record.location(), string(lookup.radius), lookup.bound)
		c.now = time.Now().UnixNano()
	}
	start := len(c.out)
	c.out = append(c.out, record.at...)
	end := len(c.out)
	c.out = appendPlaces(c.out, json)
	c.reply(line, c.out[start:end-1], len(c.out)-end)
	return nil
}

// reply counts and logs a reply that stands at the end of `out`: its first line, and bytes of places behind it.
func (c *connection) reply(line, first []byte, places int) {
	c.replies++
	if !c.server.log.wantsTraffic {
		return
	}
	c.beginLine(line)
	c.lines = append(c.lines, " -> "...)
	c.lines = appendEscaped(c.lines, first)
	if places > 0 {
		c.lines = append(c.lines, " + "...)
		c.lines = strconv.AppendInt(c.lines, int64(places), 10)
		c.lines = append(c.lines, " bytes of places"...)
	}
	c.endLine()
}

func (c *connection) accept(a accepted) {
	if len(c.server.flood.links) > 0 {
		c.accepted = append(c.accepted, a)
	}
}

// flush ends a turn, or a part of it: the replies go in one write. It blocks while the client does not take them.
func (c *connection) flush() error {
	c.handOver()
	if len(c.out) == 0 {
		return nil
	}
	_, err := c.conn.Write(c.out)
	if c.out = c.out[:0]; cap(c.out) > keptBytes {
		c.out = nil
	}
	return err
}

// handOver comes before the replies: AT says that the record is on its way.
func (c *connection) handOver() {
	if len(c.accepted) > 0 {
		c.server.flood.accept(c.accepted)
		c.accepted = c.accepted[:0]
	}
	if c.count > 0 {
		c.server.log.traffic(c.lines, c.count)
		c.count = 0
	}
	if c.lines = c.lines[:0]; cap(c.lines) > keptBytes {
		c.lines = nil
	}
}

// beginLine begins a line of the log with the client's own.
func (c *connection) beginLine(line []byte) {
	c.lines = c.stamper.append(c.lines, c.now)
	c.lines = append(c.lines, " INFO  "...)
	c.lines = append(c.lines, c.peer...)
	c.lines = append(c.lines, ' ')
	c.lines = appendEscaped(c.lines, line)
}

func (c *connection) endLine() {
	c.lines = append(c.lines, '\n')
	c.count++
}

// say logs what becomes of the connection.
func (c *connection) say(what string) {
	if c.server.log.wantsTraffic {
		c.server.log.info("connection %s %s", c.peer, what)
	}
}

// closeGently sends the last replies. A plain close with input unread would reset the connection, and they would be
// lost.
func closeGently(conn *net.TCPConn, replies []byte) {
	defer conn.Close()
	if _, err := conn.Write(replies); err != nil {
		return
	}
	if conn.CloseWrite() != nil {
		return
	}
	conn.SetReadDeadline(time.Now().Add(discardTime))
	io.CopyN(io.Discard, conn, discardBytes)
}
