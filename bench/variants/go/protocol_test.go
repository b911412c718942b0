package main

import (
	"bytes"
	"math"
	"math/rand"
	"strings"
	"testing"
)

func TestATimeIsExactToTheNanosecondAndCutAfterIt(t *testing.T) {
	for text, nanos := range map[string]int64{
		"0":                            0,
		"007.5":                        7_500_000_000,
		"1479413884.392014450":         1_479_413_884_392_014_450,
		"1.9999999999":                 1_999_999_999,
		"9223372036.854775807":         math.MaxInt64,
		"1." + strings.Repeat("0", 38): 1_000_000_000,
	} {
		if read, ok := parseTime([]byte(text)); !ok || read != nanos {
			t.Errorf("%q is %d, %v", text, read, ok)
		}
	}
}

func TestWhatIsNoTime(t *testing.T) {
	for _, text := range []string{
		"", ".", "5.", ".5", "1e3", "+1", "-1", "1.2.3", "1..2", "0x1", "1_0", "\u0661", "9223372036.854775808",
		"18446744073.709551617", "18446744073709551617", strings.Repeat("9", 40), "1." + strings.Repeat("0", 39),
	} {
		if read, ok := parseTime([]byte(text)); ok {
			t.Errorf("%q is %d", text, read)
		}
	}
}

func TestASkewIsBroughtToSignAndNineDecimals(t *testing.T) {
	for text, expected := range map[string]string{
		"0.263873386":             "+0.263873386",
		"-00012.5":                "-12.500000000",
		"-0.0000000019":           "-0.000000001",
		"-0.0000000009":           "+0.000000000",
		"+7":                      "+7.000000000",
		"9223372036.8547758079":   "+9223372036.854775807",
		"-9223372036.8547758089":  "-9223372036.854775808",
		"-0.99999999999999999999": "-0.999999999",
	} {
		skew, ok := parseSkew([]byte(text))
		if written := string(appendSkew(nil, skew)); !ok || written != expected {
			t.Errorf("%q is %q, %v", text, written, ok)
		}
	}
	for _, text := range []string{"", "+", "+-1", "5.", ".5", "1e1", "9223372036.854775808", "-9223372036.854775809",
		"-18446744073709551617"} {
		if skew, ok := parseSkew([]byte(text)); ok {
			t.Errorf("%q is %d", text, skew)
		}
	}
}

func TestAWrittenSkewReadsAsItself(t *testing.T) {
	draws := rand.New(rand.NewSource(1))
	for i := 0; i < 10_000; i++ {
		skew := int64(draws.Uint64()) >> draws.Intn(64)
		if read, ok := parseSkew(appendSkew(nil, skew)); !ok || read != skew {
			t.Fatalf("%d reads as %d, %v", skew, read, ok)
		}
	}
}

func TestFieldsStandBetweenWhiteSpaceOfSixKinds(t *testing.T) {
	for line, expected := range map[string]string{
		" \t\r\n\f\va  b\vc\r":  "a|b|c",
		"a\x00\xa0\x85\x1f\x08": "a\x00\xa0\x85\x1f\x08",
		" \r":                   "",
		"1 2 3 4 5 6 7 8 9":     "1|2|3|4|5|6|7|8",
	} {
		var words [8][]byte
		count := fields([]byte(line), &words)
		if joined := string(bytes.Join(words[:count], []byte("|"))); joined != expected {
			t.Errorf("%q has the fields %q", line, joined)
		}
	}
}

func TestALocationIsTwoSignedDecimalsInRange(t *testing.T) {
	for _, right := range []string{
		"+34.068930-118.445127", "+0+0", "-90-180", "+90.0+180.000", "+0090-00180", "-0-0",
		"+89.99999999999999999999+179.99999999999999999999", "+1." + strings.Repeat("0", 59) + "+2",
	} {
		if !isLocation([]byte(right)) {
			t.Errorf("%q is a location", right)
		}
	}
	for _, wrong := range []string{
		"", "+", "+1", "1+1", "+1+", "+1+1+1", "++1+1", "+1.+1", "+.5+1", "+1e1+1", "+1+1 ", "+91+0",
		"+90.00000000000000000001+0", "-90.1+0", "+0+180.0000000001", "+0-181", "+NaN+0", "+1,+1",
		"+18446744073709551706+1", "+1-" + strings.Repeat("9", 40), "+1." + strings.Repeat("0", 60) + "+2",
	} {
		if isLocation([]byte(wrong)) {
			t.Errorf("%q is no location", wrong)
		}
	}
	if latitude, longitude := coordinates("-00.5+180"); latitude != -0.5 || longitude != 180 {
		t.Errorf("%v, %v", latitude, longitude)
	}
}

func TestRadiusAndBoundAreComparedAsDecimals(t *testing.T) {
	isValid := func(radius, bound string) bool {
		return parse([]byte("WHATSAT kiwi "+radius+" "+bound)).verb == whatsat
	}
	for _, radius := range []string{"0", "50", "050.000", "49.99999999999999999999"} {
		if !isValid(radius, "00020") {
			t.Errorf("the radius %s is valid", radius)
		}
	}
	for _, radius := range []string{"50.00000000000000000001", "51", "-1", "5.", ".5", "1e1", "1" + strings.Repeat("0", 99)} {
		if isValid(radius, "20") {
			t.Errorf("the radius %s is not valid", radius)
		}
	}
	for _, bound := range []string{"21", "1.0", "+1", "-0", "4294967296", "18446744073709551616", "five"} {
		if isValid("1", bound) {
			t.Errorf("the bound %s is not valid", bound)
		}
	}
}

func TestCommandWordsNamesAndNumbersOfFieldsAreExact(t *testing.T) {
	for line, expected := range map[string]verb{
		"IAMAT kiwi +1+1 1":      iamat,
		"iamat kiwi +1+1 1":      invalid,
		"IAMATS kiwi +1+1 1":     invalid,
		"IAMAT kiwi +1+1":        invalid,
		"IAMAT kiwi +1+1 1 more": invalid,
		"":                       invalid,
		"IAMAT " + strings.Repeat("x", 255) + " +1+1 1":         iamat,
		"IAMAT " + strings.Repeat("x", 256) + " +1+1 1":         invalid,
		"UPDATE kiwi Hands 1.5 +1+1 0.5 a.B_c-9.":               update,
		"UPDATE kiwi .Hands 1.5 +1+1 0.5 Goloman":               invalid,
		"UPDATE kiwi Hands 1.5 +1+1 0.5 Golo/man":               invalid,
		"UPDATE kiwi Hands 1.5 +1+1 0.5 Goloman more":           invalid,
		"UPDATE kiwi Hands 1.5 +1+1 0.5":                        invalid,
		"UPDATE kiwi Hands 1 +1+1 1 " + strings.Repeat("H", 33): invalid,
	} {
		if read := parse([]byte(line)).verb; read != expected {
			t.Errorf("%q is %d", line, read)
		}
	}
}

func TestALineIsTooLongFromTheFirstByteOverTheLimit(t *testing.T) {
	for _, c := range []struct {
		input, line, rest string
		isAtEnd           bool
		found             frame
	}{
		{"abcd\nx", "abcd", "x", false, whole},
		{"abcd", "", "abcd", false, partial},
		{"abcd", "abcd", "", true, whole},
		{"abcde", "abcd", "", false, tooLong},
		{"abcde\n", "abcd", "", true, tooLong},
		{"", "", "", true, partial},
		{"\n\n", "", "\n", false, whole},
	} {
		line, rest, found := firstLine([]byte(c.input), 4, c.isAtEnd)
		if string(line) != c.line || string(rest) != c.rest || found != c.found {
			t.Errorf("%q: %q, %q, %d", c.input, line, rest, found)
		}
	}
}

func TestPlacesHaveNoEmptyLineInsideAndOneBehind(t *testing.T) {
	for json, expected := range map[string]string{
		"{\n\n\n\"a\": 1\n}\n\n": "{\n\"a\": 1\n}\n\n",
		"\n\n{}":                 "\n{}\n\n",
		"{}":                     "{}\n\n",
	} {
		if written := string(appendPlaces(nil, []byte(json))); written != expected {
			t.Errorf("%q became %q", json, written)
		}
	}
}

func TestClientBytesStayWithinTheirLineOfTheLog(t *testing.T) {
	escaped := string(appendEscaped(nil, []byte("~ a\\b\nc\rd\te\x00f\x7fg\xffh")))
	if escaped != `~ a\\b\nc\rd\te\x00f\x7fg\xffh` {
		t.Error(escaped)
	}
}
