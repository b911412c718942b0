package main

// What the conf file says, as far as this server heeds it.

import (
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

type config struct {
	name      string
	listen    string // HOST:PORT
	neighbors []neighbor

	maxConnections        int64
	maxLine               int
	maxAhead              time.Duration
	commandsPerConnection int64 // 0: no limit
	places                placesConfig
	log                   logConfig
}

type neighbor struct {
	name    string
	address string
}

type placesConfig struct {
	provider string
	baseURL  string // without a slash at the end
	key      string
	timeout  time.Duration
	workers  int
	queue    int64
}

type logConfig struct {
	dir     string
	traffic bool
	maxSize int64
	keep    int
}

// loadConfig reads what the server of that name has to know.
func loadConfig(file, name string) (*config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	tables, err := parseTOML(string(text))
	if err != nil {
		return nil, err
	}
	c := &config{name: name}
	if err := c.readServers(tables, name); err != nil {
		return nil, err
	}
	if err := c.readSections(tables); err != nil {
		return nil, err
	}
	if c.places.provider == "google-legacy" {
		c.places.key, err = readKey(tables)
	}
	return c, err
}

func (c *config) readServers(tables table, name string) error {
	servers, _ := tables["server"].([]table)
	address := make(map[string]string)
	var names []string
	for _, server := range servers {
		one, _ := server["name"].(string)
		listen, _ := server["listen"].(string)
		if !isServerName(one) {
			return fmt.Errorf("[[server]] name = %q is no name of a server", one)
		}
		if _, _, err := net.SplitHostPort(listen); err != nil {
			return fmt.Errorf("server %s: listen: %w", one, err)
		}
		names = append(names, one)
		address[one] = listen
	}
	if c.listen = address[name]; c.listen == "" {
		return fmt.Errorf("the conf file has no server %s, but %s", name, strings.Join(names, ", "))
	}
	for _, one := range neighborsOf(name, servers) {
		if address[one] == "" {
			return fmt.Errorf("server %s: its neighbor %s is no server of the conf file", name, one)
		}
		c.neighbors = append(c.neighbors, neighbor{one, address[one]})
	}
	return nil
}

// neighborsOf counts who is listed on one side for both, and once.
func neighborsOf(name string, servers []table) []string {
	var found []string
	isFound := map[string]bool{name: true}
	add := func(one string) {
		if !isFound[one] {
			isFound[one] = true
			found = append(found, one)
		}
	}
	for _, server := range servers {
		listed, _ := server["neighbors"].([]any)
		for _, entry := range listed {
			one, _ := entry.(string)
			if server["name"] == name {
				add(one)
			} else if one == name {
				add(server["name"].(string))
			}
		}
	}
	return found
}

func (c *config) readSections(tables table) error {
	var maxLine, workers, keep int64
	settings := []struct {
		section, key string
		target       any
		byDefault    any
	}{
		{"pool", "max_connections", &c.maxConnections, int64(12_000)},
		{"limits", "max_line", sizeOf{&maxLine}, "8KiB"},
		{"limits", "max_ahead", &c.maxAhead, "24h"},
		{"limits", "commands_per_connection", &c.commandsPerConnection, int64(0)},
		{"places", "provider", &c.places.provider, "gazetteer"},
		{"places", "base_url", &c.places.baseURL, "https://maps.googleapis.com"},
		{"places", "timeout", &c.places.timeout, "5s"},
		{"places", "workers", &workers, int64(16)},
		{"places", "queue", &c.places.queue, int64(1024)},
		{"log", "dir", &c.log.dir, "logs"},
		{"log", "traffic", &c.log.traffic, true},
		{"log", "max_size", sizeOf{&c.log.maxSize}, "64MiB"},
		{"log", "keep", &keep, int64(5)},
	}
	for _, setting := range settings {
		section, _ := tables[setting.section].(table)
		value, isThere := section[setting.key]
		if !isThere {
			value = setting.byDefault
		}
		if err := assign(setting.target, value); err != nil {
			return fmt.Errorf("[%s] %s: %w", setting.section, setting.key, err)
		}
	}
	c.maxLine, c.places.workers, c.log.keep = int(maxLine), int(workers), int(keep)
	c.places.baseURL = strings.TrimRight(c.places.baseURL, "/")
	return nil
}

// sizeOf is where a size in bytes goes: a number, or a text such as "8KiB".
type sizeOf struct{ bytes *int64 }

func assign(target, value any) (err error) {
	ok := true
	switch target := target.(type) {
	case *int64:
		*target, ok = value.(int64)
	case *bool:
		*target, ok = value.(bool)
	case *string:
		*target, ok = value.(string)
	case *time.Duration:
		*target, err = parseDuration(value)
	case sizeOf:
		*target.bytes, err = parseSize(value)
	}
	if !ok {
		return fmt.Errorf("%v is of the wrong kind", value)
	}
	return err
}

// readKey takes the API key from the variable of key_env if that is set, else from key_file.
func readKey(tables table) (string, error) {
	section, _ := tables["places"].(table)
	variable, _ := section["key_env"].(string)
	file, _ := section["key_file"].(string)
	key := os.Getenv(variable)
	if key == "" && file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		key = string(text)
	}
	if key = strings.TrimSpace(key); key == "" {
		return "", errors.New("[places] the provider needs an API key, from key_env or key_file")
	}
	for _, b := range []byte(key) {
		if b <= ' ' || b > '~' {
			return "", errors.New("[places] the API key may only have visible ASCII characters")
		}
	}
	return key, nil
}

var (
	sizeUnits = map[string]float64{
		"B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
	}
	durationUnits = map[string]float64{"ms": 1e6, "s": 1e9, "m": 60e9, "h": 3600e9, "d": 86_400e9}
	quantityPart  = regexp.MustCompile(`^\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*`)
)

func parseSize(value any) (int64, error) {
	if bytes, ok := value.(int64); ok {
		return bytes, nil
	}
	return parseQuantity(value, sizeUnits)
}

// parseDuration takes a text such as "250ms" or "1h 30m".
func parseDuration(value any) (time.Duration, error) {
	nanos, err := parseQuantity(value, durationUnits)
	return time.Duration(nanos), err
}

func parseQuantity(value any, units map[string]float64) (int64, error) {
	text, _ := value.(string)
	sum := 0.0
	for rest := text; ; {
		part := quantityPart.FindStringSubmatch(rest)
		if part == nil || units[part[2]] == 0 {
			return 0, fmt.Errorf("%v has to be a number and a unit, such as \"8KiB\" or \"5s\"", value)
		}
		number, err := strconv.ParseFloat(part[1], 64)
		if err != nil {
			return 0, err
		}
		sum += number * units[part[2]]
		if rest = rest[len(part[0]):]; rest == "" {
			return int64(sum), nil
		}
	}
}
