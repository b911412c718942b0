package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func confOf(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "herd.toml")
	if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestTheHerdsOwnConfFileIsReadWithItsDefaults(t *testing.T) {
	read, err := loadConfig("../../../conf/herd.toml", "Ball")
	if err != nil {
		t.Fatal(err)
	}
	expected := &config{
		name:           "Ball",
		listen:         "127.0.0.1:12001",
		neighbors:      []neighbor{{"Holiday", "127.0.0.1:12003"}, {"Welsh", "127.0.0.1:12004"}},
		maxConnections: 12_000,
		maxLine:        8192,
		maxAhead:       24 * time.Hour,
		places: placesConfig{
			provider: "gazetteer", baseURL: "https://maps.googleapis.com", timeout: 5 * time.Second, workers: 16, queue: 1024,
		},
		log: logConfig{dir: "logs", traffic: true, maxSize: 64 << 20, keep: 5},
	}
	if !reflect.DeepEqual(read, expected) {
		t.Errorf("%+v", read)
	}
}

func TestANeighborListedOnOneSideCountsForBothAndOnce(t *testing.T) {
	file := confOf(t, `
		[[server]]
		name = "A"
		listen = "127.0.0.1:1"
		neighbors = ["B"]
		[[server]]
		name = "B"
		listen = "[::1]:2"
		neighbors = ["A"]
		[[server]]
		name = "C"
		listen = "localhost:3"
		neighbors = ["A"]
	`)
	for name, expected := range map[string]string{"A": "[{B [::1]:2} {C localhost:3}]", "B": "[{A 127.0.0.1:1}]", "C": "[{A 127.0.0.1:1}]"} {
		read, err := loadConfig(file, name)
		if err != nil {
			t.Fatal(err)
		}
		if neighbors := fmt.Sprint(read.neighbors); neighbors != expected {
			t.Errorf("%s has %s", name, neighbors)
		}
	}
}

func TestWhatAConfFileCannotMeanIsRefused(t *testing.T) {
	const server = "[[server]]\nname = \"A\"\nlisten = \"127.0.0.1:1\"\n"
	for what, c := range map[string]struct{ name, text string }{
		"no server B":              {"B", server},
		"its neighbor C":           {"A", server + `neighbors = ["C"]`},
		"missing port":             {"A", strings.Replace(server, ":1", "", 1)},
		"API key":                  {"A", server + "[places]\nprovider = \"google-legacy\""},
		"8 has to be a number":     {"A", server + "[limits]\nmax_line = \"8\""},
		"line 4":                   {"A", server + "neighbors = ["},
		"two tables [pool]":        {"A", server + "[pool]\n[pool]"},
		"yes is of the wrong kind": {"A", server + "[log]\ntraffic = \"yes\""},
	} {
		if _, err := loadConfig(confOf(t, c.text), c.name); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestTablesStringsNumbersBooleansAndArraysAreRead(t *testing.T) {
	read, err := parseTOML(`top = 'li#teral' # comment
		[a]
		text = "x # \"y\" \u00e9"
		number = -1_000
		truth = false
		list = [ "a", # one
			"b",
		]
		empty = []
		[[many]]
		one = 1
		[[many]]`)
	expected := table{
		"top":  "li#teral",
		"a":    table{"text": `x # "y" é`, "number": int64(-1000), "truth": false, "list": []any{"a", "b"}, "empty": []any{}},
		"many": []table{{"one": int64(1)}, {}},
	}
	if err != nil || !reflect.DeepEqual(read, expected) {
		t.Errorf("%v, %v", read, err)
	}
}

func TestWhatIsNoPartOfThatIsRefusedWithItsLine(t *testing.T) {
	for _, text := range []string{"[a]\nb", "[a]\nb = ", "[a]\nb = \"c", "[a]\nb = [1 2]", "[a]\nb = 1 ?", "[a]\n= 1", "[a]\nb = 1.5"} {
		if _, err := parseTOML(text); err == nil || !strings.Contains(err.Error(), "line 2 of the conf file") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestSizesAndDurationsHaveUnits(t *testing.T) {
	for value, expected := range map[any]int64{"8KiB": 8192, "64MB": 64_000_000, "512B": 512, int64(8192): 8192} {
		if read, err := parseSize(value); err != nil || read != expected {
			t.Errorf("%v is %d, %v", value, read, err)
		}
	}
	for text, expected := range map[string]time.Duration{
		"250ms": 250 * time.Millisecond, "1h 30m": 90 * time.Minute, "30d": 720 * time.Hour,
	} {
		if read, err := parseDuration(text); err != nil || read != expected {
			t.Errorf("%v is %v, %v", text, read, err)
		}
	}
	for _, wrong := range []any{"", "5", "5 parsecs", "s", "5s x", int64(5)} {
		if read, err := parseDuration(wrong); err == nil {
			t.Errorf("%v is %v", wrong, read)
		}
	}
}
