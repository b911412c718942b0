package main

import (
	"errors"
	"strings"
	"testing"
)

func checkCut(t *testing.T, json string, bound int, expected string) {
	t.Helper()
	if cut, err := cut([]byte(json), bound); err != nil || string(cut) != expected {
		t.Errorf("%s became %s, %v", json, cut, err)
	}
}

func TestAnAnswerWithinTheBoundStaysByteForByte(t *testing.T) {
	json := "\n{\t\"z\" : 1.50E+007,\r\n \"results\":[ 1 ,\"\\u00e9\"] , \"status\":\"OK\",\"a\":{} } \n\n"
	checkCut(t, json, 2, json)
	checkCut(t, json, 20, json)
}

func TestMoreResultsThanTheBoundAreCutAndAllElseStays(t *testing.T) {
	checkCut(t, `{"z":-0.10e2,"results":[{"b":1.0,"a":34.068930000000000001},[2], 3 ],"status":"OK","a":1E400}`, 2,
		`{"z":-0.10e2,"results":[{"b":1.0,"a":34.068930000000000001},[2]],"status":"OK","a":1E400}`)
	checkCut(t, `{"status":"OK","results" : [ 1]}`, 0, `{"status":"OK","results" : []}`)
}

func TestBracketsAndQuotesInStringsDoNotCount(t *testing.T) {
	checkCut(t, `{"a":"]}\"","results":[{"x":"]\\"},{"y":"}\""},{}],"status":"OK"}`, 2,
		`{"a":"]}\"","results":[{"x":"]\\"},{"y":"}\""}],"status":"OK"}`)
}

func TestResultsInsideOfOtherValuesAreLeftAndRepeatedOnesAreCutAlike(t *testing.T) {
	checkCut(t, `{"a":{"results":[1,2]},"results":[1,2],"resu\u006cts":[3,4],"status":"OK"}`, 1,
		`{"a":{"results":[1,2]},"results":[1],"resu\u006cts":[3],"status":"OK"}`)
}

func TestWhatIsNotAnAnswerIsRefused(t *testing.T) {
	for _, json := range []string{
		"", "\n", "<html>", "[]", "{}", "null", `{"results":[]}`, `{"status":"OK"}`, `{"results":{},"status":"OK"}`,
		`{"results":[],"status":1}`, `{"results":[],"status":"OK"} x`, `{"results":[],"status":"OK"`,
		`{"results":[1,],"status":"OK"}`, "{\"results\":[\"\xff\"],\"status\":\"OK\"}",
		strings.Repeat("[", 1<<20), strings.Repeat(`{"results":`, 1<<18),
	} {
		var failure *placesFailure
		if _, err := cut([]byte(json), 20); !errors.As(err, &failure) || failure.status != "UNKNOWN_ERROR" {
			t.Errorf("%.40s: %v", json, err)
		}
	}
}

func TestAFailureHasGooglesShape(t *testing.T) {
	json := string((&placesFailure{"UNKNOWN_ERROR", "a \"b\" \n"}).json())
	if json != `{"html_attributions": [], "results": [], "status": "UNKNOWN_ERROR", "error_message": "a \"b\" \n"}` {
		t.Error(json)
	}
}

func TestNumbersInAURLAreWrittenPlainly(t *testing.T) {
	for _, c := range []struct {
		number   float64
		decimals int
		text     string
	}{
		{34.06893, 9, "34.06893"}, {-118.445127, 9, "-118.445127"}, {10_000, 3, "10000"}, {1e-9, 9, "0.000000001"},
		{-1e-12, 9, "0"}, {0, 9, "0"}, {2300.0000000000005, 3, "2300"}, {100, 9, "100"}, {500, 3, "500"},
	} {
		if text := plain(c.number, c.decimals); text != c.text {
			t.Errorf("%v is %s", c.number, text)
		}
	}
}
