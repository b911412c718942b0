package main

// The wire: fields, numbers, times, lines and replies. Pure: no socket, clock or lock.

import (
	"bytes"
	"math"
	"strconv"
)

const (
	maxClient   = 255
	maxLocation = 64
	maxTime     = 40
	maxName     = 32
	second      = 1_000_000_000
)

type verb int

const (
	invalid verb = iota
	iamat
	whatsat
	update
)

// A command. Its fields point into its line. How far ahead a time is, whether the client is known, and who may send
// UPDATE is for the server to say.
type command struct {
	verb     verb
	client   []byte
	location []byte
	timeText []byte
	time     int64 // nanoseconds since the POSIX epoch
	// Of UPDATE; the skew is the origin's clock minus the time, in nanoseconds.
	origin, sender []byte
	skew           int64
	// Of WHATSAT: kilometers, and places at most.
	radius []byte
	bound  int
}

func parse(line []byte) command {
	var words [8][]byte
	count := fields(line, &words)
	if count == 0 {
		return command{}
	}
	switch word := words[0]; {
	case count == 4 && string(word) == "IAMAT":
		return parseIamat(&words)
	case count == 4 && string(word) == "WHATSAT":
		return parseWhatsat(&words)
	case count == 7 && string(word) == "UPDATE":
		return parseUpdate(&words)
	}
	return command{}
}

func parseIamat(words *[8][]byte) command {
	c := command{verb: iamat, client: words[1], location: words[2], timeText: words[3]}
	var ok bool
	if c.time, ok = parseTime(c.timeText); !ok || len(c.client) > maxClient || !isLocation(c.location) {
		return command{}
	}
	return c
}

func parseWhatsat(words *[8][]byte) command {
	c := command{verb: whatsat, client: words[1], radius: words[2]}
	radius, ok := parseDecimal(c.radius)
	if !ok || radius.exceeds(50) || len(c.client) > maxClient {
		return command{}
	}
	bound, ok := parseDecimal(words[3])
	if !ok || bound.fraction != nil || bound.exceeds(20) {
		return command{}
	}
	whole, _ := bound.whole()
	c.bound = int(whole)
	return c
}

func parseUpdate(words *[8][]byte) command {
	c := command{
		verb: update, client: words[1], origin: words[2], timeText: words[3], location: words[4], sender: words[6],
	}
	var isTime, isSkew bool
	c.time, isTime = parseTime(c.timeText)
	c.skew, isSkew = parseSkew(words[5])
	if !isTime || !isSkew || len(c.client) > maxClient || !isLocation(c.location) ||
		!isServerName(c.origin) || !isServerName(c.sender) {
		return command{}
	}
	return c
}

// fields cuts a line at its white space and returns how many fields there are, 8 at most.
func fields(line []byte, words *[8][]byte) int {
	count, at := 0, 0
	for count < len(words) {
		for at < len(line) && isSpace(line[at]) {
			at++
		}
		if at == len(line) {
			break
		}
		start := at
		for at < len(line) && !isSpace(line[at]) {
			at++
		}
		words[count] = line[start:at]
		count++
	}
	return count
}

// Space, tab, LF, vertical tab, form feed, CR.
func isSpace(b byte) bool { return b == ' ' || b-'\t' < 5 }

func isDigit(b byte) bool { return b-'0' < 10 }

func isServerName[T []byte | string](name T) bool {
	if len(name) == 0 || len(name) > maxName || name[0] == '.' {
		return false
	}
	for i := 0; i < len(name); i++ {
		b := name[i]
		isLetter := (b|0x20)-'a' < 26
		if !isLetter && !isDigit(b) && b != '.' && b != '_' && b != '-' {
			return false
		}
	}
	return true
}

// decimal is a NUM: digits, or digits point digits. Compared and converted as what it is, never through floats.
type decimal struct {
	integer  []byte // without leading zeros
	fraction []byte // nil without a point
}

func parseDecimal(text []byte) (decimal, bool) {
	point := digits(text)
	if point == 0 {
		return decimal{}, false
	}
	number := decimal{integer: bytes.TrimLeft(text[:point], "0")}
	if point == len(text) {
		return number, true
	}
	number.fraction = text[point+1:]
	length := digits(number.fraction)
	return number, text[point] == '.' && length > 0 && length == len(number.fraction)
}

// digits counts the digits at the front.
func digits(text []byte) int {
	count := 0
	for count < len(text) && isDigit(text[count]) {
		count++
	}
	return count
}

func (d decimal) exceeds(limit uint64) bool {
	whole, ok := d.whole()
	if !ok || whole != limit {
		return !ok || whole > limit
	}
	return len(bytes.TrimLeft(d.fraction, "0")) > 0
}

// nanos is the value in units of 1e-9, cut after the ninth decimal.
func (d decimal) nanos() (uint64, bool) {
	whole, ok := d.whole()
	var rest uint64
	for place := 0; place < 9; place++ {
		rest *= 10
		if place < len(d.fraction) {
			rest += uint64(d.fraction[place] - '0')
		}
	}
	// Seconds that overflow the product are more than any time may have.
	if !ok || whole > math.MaxInt64/second {
		return 0, false
	}
	return whole*second + rest, true
}

func (d decimal) whole() (uint64, bool) {
	// Nineteen digits always fit.
	if len(d.integer) > 19 {
		return 0, false
	}
	var whole uint64
	for _, digit := range d.integer {
		whole = whole*10 + uint64(digit-'0')
	}
	return whole, true
}

func parseTime(text []byte) (int64, bool) {
	number, ok := parseDecimal(text)
	if !ok || len(text) > maxTime {
		return 0, false
	}
	nanos, ok := number.nanos()
	return int64(nanos), ok && nanos <= math.MaxInt64
}

// parseSkew takes what may lack the sign and have any number of decimals.
func parseSkew(text []byte) (int64, bool) {
	isNegative := len(text) > 0 && text[0] == '-'
	number, ok := parseDecimal(unsigned(text))
	if !ok {
		return 0, false
	}
	nanos, ok := number.nanos()
	if isNegative {
		// -1<<63 is its own negative.
		return -int64(nanos), ok && nanos <= 1<<63
	}
	return int64(nanos), ok && nanos <= math.MaxInt64
}

func isSigned(text []byte) bool { return len(text) > 0 && (text[0] == '+' || text[0] == '-') }

func unsigned(text []byte) []byte {
	if isSigned(text) {
		return text[1:]
	}
	return text
}

// isLocation is true for sign NUM sign NUM, latitude first, both in range.
func isLocation(text []byte) bool {
	if len(text) > maxLocation || !isSigned(text) {
		return false
	}
	split := longitudeAt(text)
	if split < 0 {
		return false
	}
	latitude, isLatitude := parseDecimal(text[1:split])
	longitude, isLongitude := parseDecimal(text[split+1:])
	return isLatitude && isLongitude && !latitude.exceeds(90) && !longitude.exceeds(180)
}

// longitudeAt is where the second sign stands, or -1.
func longitudeAt(location []byte) int {
	for i := 1; i < len(location); i++ {
		if location[i] == '+' || location[i] == '-' {
			return i
		}
	}
	return -1
}

// coordinates are a valid location's latitude and longitude, as floats for who asks a provider.
func coordinates(location string) (latitude, longitude float64) {
	split := longitudeAt([]byte(location))
	latitude, _ = strconv.ParseFloat(location[:split], 64)
	longitude, _ = strconv.ParseFloat(location[split:], 64)
	return latitude, longitude
}

// appendSkew writes sign and nine decimals; zero is +.
func appendSkew(out []byte, skew int64) []byte {
	magnitude := uint64(skew)
	if skew < 0 {
		magnitude = -magnitude
		out = append(out, '-')
	} else {
		out = append(out, '+')
	}
	out = strconv.AppendUint(out, magnitude/second, 10)
	return appendFraction(append(out, '.'), magnitude%second, 9)
}

// appendFraction writes a number with zeros in front of it.
func appendFraction(out []byte, number uint64, places int) []byte {
	var text [9]byte
	for at := places - 1; at >= 0; at-- {
		text[at] = byte('0' + number%10)
		number /= 10
	}
	return append(out, text[:places]...)
}

func appendInvalid(out, line []byte) []byte {
	out = append(out, "? "...)
	out = append(out, line...)
	return append(out, '\n')
}

// appendPlaces writes places without an empty line inside, and with one behind.
func appendPlaces(out, json []byte) []byte {
	json = bytes.TrimRight(json, "\n")
	for {
		lf := bytes.IndexByte(json, '\n')
		if lf < 0 {
			out = append(out, json...)
			return append(out, "\n\n"...)
		}
		out = append(out, json[:lf+1]...)
		json = bytes.TrimLeft(json[lf:], "\n")
	}
}

// A frame is what stands at the front of the input.
type frame int

const (
	partial frame = iota // no whole line yet
	whole                // a line, without its LF
	tooLong              // a line over the limit: its first bytes, as many as the limit allows
)

// firstLine finds the first line, and what is behind it. At the end of the input the rest is a line, too.
func firstLine(input []byte, maxLine int, isAtEnd bool) (line, rest []byte, found frame) {
	window := input
	if len(window) > maxLine+1 {
		window = window[:maxLine+1]
	}
	switch lf := bytes.IndexByte(window, '\n'); {
	case lf >= 0:
		return input[:lf], input[lf+1:], whole
	case len(window) > maxLine:
		return input[:maxLine], nil, tooLong
	case isAtEnd && len(input) > 0:
		return input, nil, whole
	}
	return nil, input, partial
}

const hex = "0123456789abcdef"

// isLiteral says which bytes the log shows as they are.
var isLiteral = func() (literal [256]bool) {
	for b := ' '; b <= '~'; b++ {
		literal[b] = b != '\\'
	}
	return literal
}()

// appendEscaped writes client bytes so that they stay within their line of the log.
func appendEscaped(out, text []byte) []byte {
	from := 0
	for at, b := range text {
		if isLiteral[b] {
			continue
		}
		out = append(out, text[from:at]...)
		from = at + 1
		switch b {
		case '\\':
			out = append(out, `\\`...)
		case '\n':
			out = append(out, `\n`...)
		case '\r':
			out = append(out, `\r`...)
		case '\t':
			out = append(out, `\t`...)
		default:
			out = append(out, '\\', 'x', hex[b>>4], hex[b&15])
		}
	}
	return append(out, text[from:]...)
}
