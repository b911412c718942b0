//! The permit to fill this server: one neighbor at a time sends it what it lacks.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::NeighborId;

/// Which neighbor has been asked for what we lack. Others that have it too would all send the same, so
/// they are asked when this one is done, if they then still differ.
#[derive(Debug)]
pub struct Filling {
    /// Who sends nothing for so long gives the permit up.
    patience: Duration,
    filler: Mutex<Option<Filler>>,
}

#[derive(Clone, Copy, Debug)]
struct Filler {
    id: NeighborId,
    moved: Instant,
}

impl Filling {
    /// Nobody fills. A neighbor that is asked and sends no update for `patience` is not waited for any
    /// longer.
    pub fn new(patience: Duration) -> Self {
        Self { patience, filler: Mutex::default() }
    }

    /// Takes the permit for a neighbor, if nobody has it who still sends. True if it is taken.
    pub fn begin(&self, id: NeighborId, now: Instant) -> bool {
        let mut filler = self.filler.lock();
        let is_free = filler
            .is_none_or(|filler| now.saturating_duration_since(filler.moved) >= self.patience);
        if is_free {
            *filler = Some(Filler { id, moved: now });
        }
        is_free
    }

    /// Takes note that updates came from a neighbor.
    pub fn moved(&self, id: NeighborId, now: Instant) {
        if let Some(filler) = self.filler.lock().as_mut().filter(|filler| filler.id == id) {
            filler.moved = now;
        }
    }

    /// Gives the permit back. True if this neighbor had it, so that others may take it now.
    pub fn end(&self, id: NeighborId) -> bool {
        self.filler.lock().take_if(|filler| filler.id == id).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_neighbor_fills_at_a_time_and_one_that_sends_nothing_is_not_waited_for() {
        const ONE: NeighborId = NeighborId(1);
        const TWO: NeighborId = NeighborId(2);
        let filling = Filling::new(Duration::from_secs(5));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(filling.begin(ONE, at(0)));
        assert!(!filling.begin(TWO, at(4)));
        assert!(!filling.begin(ONE, at(4)), "it is asked already");
        filling.moved(ONE, at(4));
        filling.moved(TWO, at(8));
        assert!(!filling.begin(TWO, at(8)));
        assert!(filling.begin(TWO, at(9)));
        assert!(!filling.end(ONE), "it has lost the permit");
        assert!(filling.end(TWO));
        assert!(filling.begin(ONE, at(9)));
    }
}
