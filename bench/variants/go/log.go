package main

// DIR/NAME.log: lines are gathered in memory and written by one goroutine, so that a disk that stalls stalls nobody.

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	// Bytes that may wait for the disk. Links and errors have twice the room of traffic.
	mostWaiting = 16 << 20
	// Bytes that are written at once without waiting for more.
	batchBytes = 256 << 10
	// Longest time that a line waits for company, and that a failed write waits for the next try.
	logDelay = 250 * time.Millisecond
	logRetry = time.Second
	// Longest time that the last lines may take.
	logClosing = 5 * time.Second
)

type logger struct {
	wantsTraffic bool
	file         *logFile
	isFull       chan struct{} // a batch is there
	closing      chan struct{}
	closed       chan struct{}

	mutex          sync.Mutex
	lines          []byte
	inHand         int // bytes that are being written
	droppedTraffic int
	droppedEvents  int
}

// openLog fails if the file cannot be opened.
func openLog(name string, conf logConfig) (*logger, error) {
	if err := os.MkdirAll(conf.dir, 0o777); err != nil {
		return nil, err
	}
	file := &logFile{path: filepath.Join(conf.dir, name+".log"), maxSize: conf.maxSize, keep: conf.keep}
	if err := file.ready(); err != nil {
		return nil, err
	}
	l := &logger{
		wantsTraffic: conf.traffic,
		file:         file,
		isFull:       make(chan struct{}, 1),
		closing:      make(chan struct{}),
		closed:       make(chan struct{}),
	}
	go l.write()
	return l, nil
}

// traffic takes whole lines, with their time and escaped.
func (l *logger) traffic(lines []byte, count int) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if len(l.lines)+l.inHand+len(lines) > mostWaiting {
		l.droppedTraffic += count
		return
	}
	l.add(lines)
}

func (l *logger) info(format string, values ...any) { l.event("INFO ", format, values) }
func (l *logger) warn(format string, values ...any) { l.event("WARN ", format, values) }

func (l *logger) event(level, format string, values []any) {
	var s stamper
	line := append(s.append(nil, time.Now().UnixNano()), ' ')
	line = append(append(line, level...), ' ')
	line = appendEscaped(line, []byte(fmt.Sprintf(format, values...)))
	line = append(line, '\n')

	l.mutex.Lock()
	defer l.mutex.Unlock()
	if len(l.lines)+l.inHand+len(line) > 2*mostWaiting {
		l.droppedEvents++
		return
	}
	l.add(line)
}

func (l *logger) add(lines []byte) {
	l.lines = append(l.lines, lines...)
	if len(l.lines) >= batchBytes {
		select {
		case l.isFull <- struct{}{}:
		default:
		}
	}
}

// close writes what waits, in one more try if the disk fails. What comes after is not written.
func (l *logger) close() {
	close(l.closing)
	select {
	case <-l.closed:
	case <-time.After(logClosing):
	}
}

func (l *logger) write() {
	defer close(l.closed)
	tick := time.NewTicker(logDelay)
	defer tick.Stop()
	var hand []byte
	for isClosing := false; !isClosing; {
		select {
		case <-l.isFull:
		case <-tick.C:
		case <-l.closing:
			isClosing = true
		}
		l.sayDropped()
		hand = l.take(hand)
		l.writeOut(hand)
	}
}

// take swaps what waits for a buffer that is done with.
func (l *logger) take(hand []byte) []byte {
	if cap(hand) > 4*batchBytes {
		hand = nil
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	hand, l.lines = l.lines, hand[:0]
	l.inHand = len(hand)
	return hand
}

func (l *logger) sayDropped() {
	l.mutex.Lock()
	traffic, events := l.droppedTraffic, l.droppedEvents
	l.droppedTraffic, l.droppedEvents = 0, 0
	l.mutex.Unlock()
	if traffic+events > 0 {
		l.warn("log dropped %d traffic lines and %d events: it grew faster than the disk took it", traffic, events)
	}
}

// writeOut tries again and again while the disk fails; what waits meanwhile is bounded.
func (l *logger) writeOut(lines []byte) {
	for len(lines) > 0 {
		written, err := l.file.write(lines)
		lines = lines[written:]
		if err == nil {
			continue
		}
		fmt.Fprintf(os.Stderr, "herd: the log: %v; lines wait, and are dropped when too many do\n", err)
		select {
		case <-l.closing:
			return
		case <-time.After(logRetry):
		}
	}
}

// stamper writes times as `2026-11-27T17:30:00.123456Z`, and keeps the text of the second that it wrote last.
type stamper struct {
	second int64
	text   [20]byte
}

func (s *stamper) append(out []byte, nanos int64) []byte {
	if now := nanos / second; now != s.second || s.text[0] == 0 {
		s.second = now
		time.Unix(now, 0).UTC().AppendFormat(s.text[:0], "2006-01-02T15:04:05.")
	}
	out = append(out, s.text[:]...)
	return append(appendFraction(out, uint64(nanos%second/1000), 6), 'Z')
}

type logFile struct {
	path    string
	maxSize int64
	keep    int
	file    *os.File // nil until it is ready
	size    int64
}

func (f *logFile) ready() error {
	if f.file != nil {
		return nil
	}
	file, err := os.OpenFile(f.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return err
	}
	found, err := file.Stat()
	if err != nil {
		file.Close()
		return err
	}
	f.file, f.size = file, found.Size()
	return nil
}

// write says how many bytes were written, also of a write that failed.
func (f *logFile) write(lines []byte) (int, error) {
	if f.size > 0 && f.size+int64(len(lines)) > f.maxSize {
		if err := f.rotate(); err != nil {
			return 0, err
		}
	}
	if err := f.ready(); err != nil {
		return 0, err
	}
	written, err := f.file.Write(lines)
	f.size += int64(written)
	return written, err
}

// rotate makes room for a new file: NAME.log.1 is the youngest, the oldest is replaced.
func (f *logFile) rotate() error {
	if f.file != nil {
		f.file.Close()
		f.file = nil
	}
	for age := f.keep - 1; age >= 0; age-- {
		err := os.Rename(f.aged(age), f.aged(age+1))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return f.ready()
}

func (f *logFile) aged(age int) string {
	if age == 0 {
		return f.path
	}
	return fmt.Sprintf("%s.%d", f.path, age)
}
