package main

import "testing"

func updateOf(t *testing.T, rest string) *record {
	t.Helper()
	c := parse([]byte("UPDATE kiwi " + rest + " Goloman"))
	if c.verb != update {
		t.Fatalf("%q is not valid", rest)
	}
	return newRecord(&c, c.origin, c.skew)
}

// Some of each field, so that every step of the order decides somewhere.
func someUpdates(t *testing.T) (all []*record) {
	for _, time := range []string{"1.5", "1.50", "2", "1.500000001"} {
		for _, skew := range []string{"+0.5", "-0.5", "+10"} {
			for _, origin := range []string{"Ball", "Hands", "Zoo", "a"} {
				for _, location := range []string{"+1+1", "-1+1"} {
					all = append(all, updateOf(t, origin+" "+time+" "+location+" "+skew))
				}
			}
		}
	}
	return all
}

func merged(updates ...*record) *record {
	rs := newRecords()
	for _, r := range updates {
		rs.merge(r)
	}
	return rs.get([]byte("kiwi"))
}

func TestOfTwoDifferentUpdatesExactlyOneIsNewer(t *testing.T) {
	all := someUpdates(t)
	for _, a := range all {
		for _, b := range all {
			if a.isNewer(b) != (a != b && !b.isNewer(a)) {
				t.Errorf("%q %q", a.at, b.at)
			}
		}
	}
}

func TestMergingDependsOnNoOrderAndAgainChangesNothing(t *testing.T) {
	var some []*record
	for i, r := range someUpdates(t) {
		if i%9 == 0 {
			some = append(some, r)
		}
	}
	for _, a := range some {
		for _, b := range some {
			for _, c := range some {
				first := merged(a, b, c)
				if merged(b, c, a) != first || merged(c, b, a) != first || merged(a, b, c, b, a) != first {
					t.Fatalf("%q %q %q", a.at, b.at, c.at)
				}
			}
		}
	}
}

func TestTheOrderIsTimeLowerSkewOriginLocationTimeText(t *testing.T) {
	for _, c := range []struct{ newer, older string }{
		{"B 1.000000001 +0+0 +9", "Z 1 +1+1 -9"},
		{"B 1 +0+0 +0.499999999", "Z 1 +1+1 +0.5"},
		{"B 1 +0+0 +9", "Z 1 +1+1 +10"},
		{"a 1 +0+0 +1", "Zoo 1 -1+1 +1"},
		{"Hands2 1 +0+0 +1", "Hands 1 -1+1 +1"},
		{"Hands 1 -1+1 +1", "Hands 1 +1+1 +1"},
		{"Hands 1.50 +1+1 +1", "Hands 1.5 +1+1 +1"},
		{"Hands 1.0000000009 +1+1 +1", "Hands 1.0000000001 +1+1 +1"},
	} {
		newer, older := updateOf(t, c.newer), updateOf(t, c.older)
		if merged(newer, older) != newer || merged(older, newer) != newer {
			t.Errorf("%q is newer than %q", c.newer, c.older)
		}
	}
}

func TestTheSameReportAgainIsTheRecordHeld(t *testing.T) {
	reportOf := func(line string, skew int64) *record {
		c := parse([]byte(line))
		return newRecord(&c, []byte("Ball"), skew)
	}
	rs := newRecords()
	first := reportOf("IAMAT kiwi +2+2 1.5", 9)
	if rs.report(first) != first || rs.report(reportOf(" IAMAT\tkiwi +2+2 1.5", 1)) != first {
		t.Error("the same bytes are the same report")
	}
	if other := reportOf("IAMAT kiwi +2+2 1.50", 1); rs.report(other) != other {
		t.Error("other bytes of the same time are another report")
	}
}

func TestARecordTellsItsFields(t *testing.T) {
	r := updateOf(t, "Hands 1.50 +34.5-118.25 -0.5")
	if r.at != "AT Hands -0.500000000 kiwi +34.5-118.25 1.50\n" {
		t.Error(r.at)
	}
	if line := string(r.appendUpdate(nil, "Ball")); line != "UPDATE kiwi Hands 1.50 +34.5-118.25 -0.500000000 Ball\n" {
		t.Error(line)
	}
}

func TestEachRecordIsVisitedOnce(t *testing.T) {
	rs := newRecords()
	seen := make(map[string]int)
	for i := 0; i < 1000; i++ {
		c := parse([]byte("IAMAT " + string(appendSkew(nil, int64(i))) + " +1+1 1"))
		rs.report(newRecord(&c, []byte("Ball"), 0))
	}
	err := rs.each(func(part []*record) error {
		for _, r := range part {
			seen[r.client()]++
		}
		return nil
	})
	if err != nil || len(seen) != 1000 {
		t.Errorf("%d seen, %v", len(seen), err)
	}
}
