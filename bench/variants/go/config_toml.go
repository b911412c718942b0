package main

// The part of TOML that conf files are written in: tables, arrays of tables, and keys with strings, whole numbers,
// booleans, or arrays of these.

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

type table map[string]any

// A tomlReader cuts tokens off the front of a text.
type tomlReader struct {
	text string
	rest string
}

var (
	blankToken   = regexp.MustCompile(`^(?:\s|#[^\n]*)+`)
	headerToken  = regexp.MustCompile(`^(\[\[?)[ \t]*([\w-]+)[ \t]*\]\]?`)
	keyToken     = regexp.MustCompile(`^([\w-]+|"[^"\n]*")[ \t]*=[ \t]*`)
	basicToken   = regexp.MustCompile(`^"(?:[^"\\\n]|\\.)*"`)
	literalToken = regexp.MustCompile(`^'([^'\n]*)'`)
	wordToken    = regexp.MustCompile(`^[\w+.:-]+`)
)

// parseTOML returns the tables by name; an array of tables is a []table.
func parseTOML(text string) (table, error) {
	t := &tomlReader{text: text, rest: text}
	conf := table{}
	current := conf
	for t.skipBlank(); t.rest != ""; t.skipBlank() {
		if header := t.take(headerToken); header != nil {
			next, err := conf.open(header[2], header[1] == "[[")
			if err != nil {
				return nil, err
			}
			current = next
			continue
		}
		key := t.take(keyToken)
		if key == nil {
			return nil, t.failure()
		}
		value, err := t.value()
		if err != nil {
			return nil, err
		}
		current[strings.Trim(key[1], `"`)] = value
	}
	return conf, nil
}

func (conf table) open(name string, isOneOfMany bool) (table, error) {
	opened := table{}
	switch held := conf[name].(type) {
	case nil:
		if isOneOfMany {
			conf[name] = []table{opened}
		} else {
			conf[name] = opened
		}
		return opened, nil
	case []table:
		if isOneOfMany {
			conf[name] = append(held, opened)
			return opened, nil
		}
	}
	return nil, fmt.Errorf("the conf file has two tables [%s]", name)
}

func (t *tomlReader) take(token *regexp.Regexp) []string {
	match := token.FindStringSubmatch(t.rest)
	if match != nil {
		t.rest = t.rest[len(match[0]):]
	}
	return match
}

func (t *tomlReader) skipBlank() { t.take(blankToken) }

func (t *tomlReader) failure() error {
	line := 1 + strings.Count(t.text[:len(t.text)-len(t.rest)], "\n")
	return fmt.Errorf("line %d of the conf file cannot be read", line)
}

func (t *tomlReader) value() (any, error) {
	if strings.HasPrefix(t.rest, "[") {
		return t.array()
	}
	if basic := t.take(basicToken); basic != nil {
		// Go's escapes are those of TOML, and a few more.
		text, err := strconv.Unquote(basic[0])
		if err != nil {
			return nil, t.failure()
		}
		return text, nil
	}
	if literal := t.take(literalToken); literal != nil {
		return literal[1], nil
	}
	if word := t.take(wordToken); word != nil {
		switch word[0] {
		case "true", "false":
			return word[0] == "true", nil
		}
		if number, err := strconv.ParseInt(strings.ReplaceAll(word[0], "_", ""), 10, 64); err == nil {
			return number, nil
		}
	}
	return nil, t.failure()
}

func (t *tomlReader) array() (any, error) {
	values := []any{}
	t.rest = t.rest[1:]
	for t.skipBlank(); !strings.HasPrefix(t.rest, "]"); t.skipBlank() {
		value, err := t.value()
		if err != nil {
			return nil, err
		}
		values = append(values, value)
		t.skipBlank()
		if strings.HasPrefix(t.rest, ",") {
			t.rest = t.rest[1:]
		} else if !strings.HasPrefix(t.rest, "]") {
			return nil, t.failure()
		}
	}
	t.rest = t.rest[1:]
	return values, nil
}
