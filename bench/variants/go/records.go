package main

// The records of all clients, and which of two is newer.

import (
	"hash/maphash"
	"sync"
)

// record is what is known of one client, kept as the line that answers it. Never changed.
type record struct {
	at   string // `AT <origin> <skew> <client> <location> <time>` LF
	time int64
	skew int64
	// Where these fields end in the line.
	originEnd, skewEnd, clientEnd, locationEnd uint16
}

const originAt = len("AT ")

func newRecord(c *command, origin []byte, skew int64) *record {
	var line [originAt + maxName + 22 + 1 + maxClient + 1 + maxLocation + 1 + maxTime + 1]byte
	r := &record{time: c.time, skew: skew}
	out := append(line[:0], "AT "...)
	out = append(out, origin...)
	r.originEnd = uint16(len(out))
	out = appendSkew(append(out, ' '), skew)
	r.skewEnd = uint16(len(out))
	out = append(append(out, ' '), c.client...)
	r.clientEnd = uint16(len(out))
	out = append(append(out, ' '), c.location...)
	r.locationEnd = uint16(len(out))
	out = append(append(out, ' '), c.timeText...)
	r.at = string(append(out, '\n'))
	return r
}

func (r *record) origin() string   { return r.at[originAt:r.originEnd] }
func (r *record) skewText() string { return r.at[r.originEnd+1 : r.skewEnd] }
func (r *record) client() string   { return r.at[r.skewEnd+1 : r.clientEnd] }
func (r *record) location() string { return r.at[r.clientEnd+1 : r.locationEnd] }
func (r *record) timeText() string { return r.at[r.locationEnd+1 : len(r.at)-1] }

// isNewer is the merge order: later time, then lower skew (who got it first), then the greater origin, location, time
// text.
func (r *record) isNewer(than *record) bool {
	switch {
	case r.time != than.time:
		return r.time > than.time
	case r.skew != than.skew:
		return r.skew < than.skew
	case r.origin() != than.origin():
		return r.origin() > than.origin()
	case r.location() != than.location():
		return r.location() > than.location()
	}
	return r.timeText() > than.timeText()
}

// isSameReport is true if client, location and time are the same bytes.
func (r *record) isSameReport(other *record) bool {
	return r.time == other.time && r.at[r.skewEnd:] == other.at[other.skewEnd:]
}

// appendUpdate writes the record as the line that a server of that name sends to its neighbors.
func (r *record) appendUpdate(out []byte, sender string) []byte {
	out = append(out, "UPDATE "...)
	for _, field := range [...]string{r.client(), r.origin(), r.timeText(), r.location(), r.skewText()} {
		out = append(out, field...)
		out = append(out, ' ')
	}
	out = append(out, sender...)
	return append(out, '\n')
}

// Parts of the map with locks of their own. Many more than cores, so that two goroutines seldom want the same.
const shardCount = 256

type records struct {
	seed   maphash.Seed
	shards [shardCount]shard
}

type shard struct {
	sync.RWMutex
	byClient map[string]*record
	// No two locks in one cache line.
	_ [32]byte
}

func newRecords() *records {
	all := &records{seed: maphash.MakeSeed()}
	for i := range all.shards {
		all.shards[i].byClient = make(map[string]*record)
	}
	return all
}

// get returns nil for a client that nobody reported.
func (rs *records) get(client []byte) *record {
	s := &rs.shards[maphash.Bytes(rs.seed, client)%shardCount]
	s.RLock()
	defer s.RUnlock()
	return s.byClient[string(client)]
}

// merge stores a record that is newer than the one held. It returns the record that is held then.
func (rs *records) merge(r *record) *record { return rs.store(r, false) }

// report is merge for what a client reports: the same report again is the record held, whatever its skew.
func (rs *records) report(r *record) *record { return rs.store(r, true) }

func (rs *records) store(r *record, keepsSameReport bool) *record {
	client := r.client()
	s := &rs.shards[maphash.String(rs.seed, client)%shardCount]
	s.Lock()
	defer s.Unlock()
	held := s.byClient[client]
	if held != nil && (!r.isNewer(held) || keepsSameReport && r.isSameReport(held)) {
		return held
	}
	s.byClient[client] = r
	return r
}

// each calls `visit` with all records, a part at a time and without a lock.
func (rs *records) each(visit func([]*record) error) error {
	var part []*record
	for i := range rs.shards {
		s := &rs.shards[i]
		part = part[:0]
		s.RLock()
		for _, r := range s.byClient {
			part = append(part, r)
		}
		s.RUnlock()
		if err := visit(part); err != nil {
			return err
		}
	}
	return nil
}
