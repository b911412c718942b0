// The herd server in Go: NAME --conf FILE [--stop-on-eof]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

type arguments struct {
	name, conf string
	stopsOnEOF bool
}

// With a heap as small as that of 100,000 records, Go's own 100 collects so often that a request costs a fifth more.
const gcPercent = 400

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "herd: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	given, err := readArguments(args)
	if err != nil {
		return err
	}
	conf, err := loadConfig(given.conf, given.name)
	if err != nil {
		return err
	}
	log, err := openLog(conf.name, conf.log)
	if err != nil {
		return err
	}
	defer log.close()
	listener, err := net.Listen("tcp", conf.listen)
	if err != nil {
		return err
	}

	stop, cancel := toldToStop(given.stopsOnEOF)
	defer cancel()
	records := newRecords()
	flood := newFlood(conf, records, log)
	server := &server{
		conf: conf, records: records, flood: flood, places: newPlaces(conf.places), log: log,
		connections: make(map[*net.TCPConn]struct{}),
	}
	links, stopLinks := context.WithCancel(context.Background())
	flood.start(links)
	go server.serve(listener.(*net.TCPListener))
	fmt.Printf("ready %s %s\n", conf.name, addressOf(conf.listen, listener))

	<-stop.Done()
	listener.Close()
	server.stop()
	stopLinks()
	flood.done.Wait()
	return nil
}

// readArguments takes options before and after the name.
func readArguments(args []string) (given arguments, err error) {
	flags := flag.NewFlagSet("herd-go", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&given.conf, "conf", "", "")
	flags.BoolVar(&given.stopsOnEOF, "stop-on-eof", false, "")
	var names []string
	for err = flags.Parse(args); err == nil && flags.NArg() > 0; err = flags.Parse(flags.Args()[1:]) {
		names = append(names, flags.Arg(0))
	}
	if err != nil || len(names) != 1 || given.conf == "" {
		return given, errors.New("usage: bench/variants/go/run NAME --conf FILE [--stop-on-eof]")
	}
	given.name = names[0]
	return given, nil
}

// toldToStop ends with the first SIGTERM or SIGINT, and with the standard input if it shall.
func toldToStop(stopsOnEOF bool) (context.Context, context.CancelFunc) {
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	if stopsOnEOF {
		go func() {
			io.Copy(io.Discard, os.Stdin)
			cancel()
		}()
	}
	return stop, cancel
}

// addressOf is the host as the conf says it, with the port that it is in the end.
func addressOf(listen string, listener net.Listener) string {
	host, _, _ := net.SplitHostPort(listen)
	return net.JoinHostPort(host, fmt.Sprint(listener.Addr().(*net.TCPAddr).Port))
}
