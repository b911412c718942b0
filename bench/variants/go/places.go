package main

// Who WHATSAT asks for what is near, and how an answer is cut.

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// Longest answer that is read, in bytes.
const maxBody = 4 << 20

const noPlaces = `{"html_attributions": [], "results": [], "status": "ZERO_RESULTS"}`

// placesFailure is why there are no places, as a client is told.
type placesFailure struct{ status, message string }

func (f *placesFailure) Error() string { return f.message }

func (f *placesFailure) json() []byte {
	message, _ := json.Marshal(f.message)
	return []byte(fmt.Sprintf(
		`{"html_attributions": [], "results": [], "status": "%s", "error_message": %s}`, f.status, message))
}

func unknown(format string, values ...any) error {
	return &placesFailure{"UNKNOWN_ERROR", "the places service " + fmt.Sprintf(format, values...)}
}

var errOverload = &placesFailure{"OVER_QUERY_LIMIT", "too many look-ups wait for the places provider; ask again later"}

type places struct {
	conf   placesConfig
	client *http.Client
	calls  chan struct{} // holds one for each call
	asked  atomic.Int64  // calls, and look-ups that wait for one
}

func newPlaces(conf placesConfig) *places {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns = conf.workers
	transport.MaxIdleConnsPerHost = conf.workers
	return &places{
		conf: conf,
		client: &http.Client{
			Transport: transport,
			Timeout:   conf.timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse
			},
		},
		calls: make(chan struct{}, conf.workers),
	}
}

// near blocks until there is JSON of at most `bound` results.
func (p *places) near(location string, radius string, bound int) []byte {
	answer, err := p.ask(location, radius, bound)
	if err == nil {
		return answer
	}
	var failure *placesFailure
	if !errors.As(err, &failure) {
		failure = &placesFailure{"UNKNOWN_ERROR", "the places service could not be asked"}
	}
	return failure.json()
}

func (p *places) ask(location string, radius string, bound int) ([]byte, error) {
	if p.conf.provider != "google-legacy" {
		return nil, &placesFailure{"REQUEST_DENIED", "this server cannot ask the provider " + p.conf.provider}
	}
	defer p.asked.Add(-1)
	if p.asked.Add(1) > int64(p.conf.workers)+p.conf.queue {
		return nil, errOverload
	}
	if err := p.waitForTurn(); err != nil {
		return nil, err
	}
	defer func() { <-p.calls }()
	body, err := p.call(p.url(location, radius))
	if err != nil {
		return nil, err
	}
	return cut(body, bound)
}

func (p *places) waitForTurn() error {
	select {
	case p.calls <- struct{}{}:
		return nil
	default:
	}
	late := time.NewTimer(p.conf.timeout)
	defer late.Stop()
	select {
	case p.calls <- struct{}{}:
		return nil
	case <-late.C:
		return errOverload
	}
}

func (p *places) url(location string, radius string) string {
	latitude, longitude := coordinates(location)
	kilometers, _ := strconv.ParseFloat(radius, 64)
	return fmt.Sprintf("%s/maps/api/place/nearbysearch/json?location=%s,%s&radius=%s&key=%s",
		p.conf.baseURL, plain(latitude, 9), plain(longitude, 9), plain(kilometers*1000, 3), url.QueryEscape(p.conf.key))
}

// plain writes at most so many decimals, no exponent, no plus.
func plain(number float64, decimals int) string {
	text := strconv.FormatFloat(number, 'f', decimals, 64)
	text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	if text == "-0" {
		return "0"
	}
	return text
}

// call returns the body of an answer with status 200.
func (p *places) call(url string) ([]byte, error) {
	response, err := p.client.Get(url)
	if err != nil {
		return nil, p.failure(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, p.failure(err)
	case response.StatusCode != http.StatusOK:
		return nil, statusFailure(response.StatusCode)
	case len(body) > maxBody:
		return nil, unknown("answered with more than 4 MiB")
	case bytes.Contains(body, []byte(p.conf.key)):
		return nil, unknown("answered with the API key in its answer")
	}
	return body, nil
}

// failure leaves the URL out, which has the key in it.
func (p *places) failure(err error) error {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return unknown("did not answer within %v", p.conf.timeout)
	}
	var refused *net.OpError
	if errors.As(err, &refused) {
		return unknown("could not be asked: %v", refused.Err)
	}
	return unknown("broke its answer off")
}

func statusFailure(code int) error {
	status, what := "UNKNOWN_ERROR", "failed: try again later"
	switch code {
	case http.StatusBadRequest:
		status, what = "INVALID_REQUEST", "did not understand the request"
	case http.StatusUnauthorized, http.StatusForbidden:
		status, what = "REQUEST_DENIED", "refused the request: is its API key right?"
	case http.StatusTooManyRequests:
		status, what = "OVER_QUERY_LIMIT", "has been asked too often: try again later"
	}
	return &placesFailure{status, fmt.Sprintf("the places service %s (HTTP %d)", what, code)}
}

var errNoAnswer = unknown("answered with something that is no answer")

// cut leaves at most `bound` results of an answer; what is left stands as it came.
func cut(body []byte, bound int) ([]byte, error) {
	if !json.Valid(body) || !utf8.Valid(body) {
		return nil, errNoAnswer
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return nil, errNoAnswer
	}
	var kept []byte
	from := 0
	hasResults, hasStatus := false, false
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return nil, errNoAnswer
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, errNoAnswer
		}
		end := int(decoder.InputOffset())
		switch key {
		case "status":
			if hasStatus = value[0] == '"'; !hasStatus {
				return nil, errNoAnswer
			}
		case "results":
			if hasResults = value[0] == '['; !hasResults {
				return nil, errNoAnswer
			}
			length, isMore := lengthOf(value, bound)
			if isMore {
				kept = append(kept, body[from:end-len(value)+length]...)
				from = end - 1
			}
		}
	}
	if !hasResults || !hasStatus {
		return nil, errNoAnswer
	}
	if from == 0 {
		return body, nil
	}
	return append(kept, body[from:]...), nil
}

// lengthOf is how many bytes of an array its bracket and its first elements take, and if there are more of them.
func lengthOf(array []byte, count int) (length int, isMore bool) {
	decoder := json.NewDecoder(bytes.NewReader(array))
	if _, err := decoder.Token(); err != nil {
		return 0, false
	}
	var element json.RawMessage
	for length = 1; decoder.More(); count-- {
		if count == 0 {
			return length, true
		}
		if decoder.Decode(&element) != nil {
			return 0, false
		}
		length = int(decoder.InputOffset())
	}
	return length, false
}
