//! One round: faults begin and end under load, then all is well, and the herd is judged.

use ::herd::client::At;

use super::clients::Counts;
use super::oracle::{Answered, Verdict};
use super::plan::{self, Fault, Planned};
use super::summary::Loss;
use super::*;

/// How long the servers have before the load pauses, at most: what is reported while all come back.
const AFTERMATH: Duration = Duration::from_secs(1);

/// How often a server that was found wanting is asked again.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// With `always`, a server whose disk is to be wiped gets no reports for so long before: what it was told
/// is with its neighbors then.
const DRAINED_AFTER: Duration = Duration::from_secs(4);

/// What a round is done with.
pub(super) struct Round<'a> {
    pub(super) setting: &'a Setting,
    pub(super) interrupt: &'a Interrupt,
    pub(super) herd: &'a mut Herd,
    pub(super) clients: &'a Clients,
    /// True if the servers say their digests.
    pub(super) can_watch: bool,
}

/// What a round that went well was.
pub(super) struct Done {
    pub(super) planned: Vec<Planned>,
    pub(super) counts: Counts,
    pub(super) losses: Vec<Loss>,
    /// From the end of the last fault until all was found to be right.
    pub(super) heal: Duration,
}

/// A fault begins or ends.
struct Step {
    when: Duration,
    fault: usize,
    is_end: bool,
}

impl Round<'_> {
    pub(super) fn run(&mut self, seed: u64) -> Result<Done, Cut> {
        let mut rng = Rng::with_seed(seed);
        let planned = plan::draw(&mut rng, &self.herd.shape, self.setting.means());
        let before = self.clients.counts();
        let begun = Instant::now();
        let steps = planned.iter().enumerate().flat_map(|(fault, one)| {
            [(one.begins, false), (one.begins + one.lasts, true)].map(|(when, is_end)| Step {
                when,
                fault,
                is_end,
            })
        });
        let mut steps: Vec<_> = steps.collect();
        steps.sort_by_key(|step| step.when);
        for Step { when, fault, is_end } in steps {
            self.wait_until(begun + when)?;
            let fault = &planned[fault].fault;
            let done = if is_end { self.end(fault) } else { self.begin(fault) };
            done.map_err(|why| Cut::Failed(format!("{fault}: {why}")))?;
        }
        let healed = Instant::now();
        self.wait_until(healed + AFTERMATH.mul_f64(rng.f64()))?;
        if !self.clients.rest() {
            return Err(Cut::Failed("a client waits for ever".into()));
        }
        let lost = self.await_right(healed + self.setting.within);
        let losses = lost.map_err(|cut| cut.after(&planned))?;
        let heal = healed.elapsed();
        self.herd.timeline.note(holding::Event::Agreed);
        self.clients.go_on();
        Ok(Done { planned, counts: self.clients.counts().since(before), losses, heal })
    }

    fn begin(&mut self, fault: &Fault) -> Result<(), String> {
        if let Fault::Wipe(victim) = fault
            && self.setting.disk() == Disk::AtReply
        {
            self.clients.avoid(*victim, true);
            thread::sleep(DRAINED_AFTER);
        }
        self.herd.begin(fault)
    }

    fn end(&mut self, fault: &Fault) -> Result<(), String> {
        self.herd.end(fault)?;
        if let Fault::Wipe(victim) = fault {
            self.clients.avoid(*victim, false);
        }
        Ok(())
    }

    /// Looks meanwhile whether all that should run does.
    fn wait_until(&mut self, when: Instant) -> Result<(), Cut> {
        loop {
            self.check()?;
            let left = when.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(Duration::from_millis(50)));
        }
    }

    fn check(&mut self) -> Result<(), Cut> {
        self.interrupt.check()?;
        let found = self.herd.casualty().or_else(|| self.clients.wrong());
        // The servers got the signal of an interruption too.
        self.interrupt.check()?;
        found.map_or(Ok(()), |what| Err(Cut::Failed(what)))
    }

    /// Waits until all servers hold the same and what they have to, and returns what is lost.
    fn await_right(&mut self, deadline: Instant) -> Result<Vec<Loss>, Cut> {
        loop {
            self.check()?;
            let looked = self.look()?;
            let is_late = Instant::now() > deadline;
            match looked {
                Ok(lost) if !is_late => return self.account(&lost),
                Ok(_) => return Err(self.late("all is right only now")),
                Err(why) if is_late => return Err(self.late(&why)),
                Err(_) => {}
            }
            thread::sleep(ASK_EVERY);
        }
    }

    fn late(&self, why: &str) -> Cut {
        Cut::Failed(format!("not within {:?} of the last fault's end: {why}", self.setting.within))
    }

    /// What is missing though it was answered, and may be; or why it is not well yet.
    fn look(&self) -> Result<Result<Vec<Answered>, String>, Cut> {
        let mut counted = None;
        if self.can_watch {
            let Some(statuses) = self.herd.statuses() else {
                return Ok(Err("a server does not say its status".into()));
            };
            if statuses.iter().any(|status| *status != statuses[0]) {
                return Ok(Err(format!("digests differ: {statuses:?}")));
            }
            counted = Some(statuses[0].records);
        }
        let mut first = None;
        for at in 0..self.herd.servers.len() {
            let held = match self.clients.held_by(holding::ServerId(at)) {
                Ok(held) => held,
                Err(why) => return Ok(Err(why)),
            };
            let Some(first) = &first else {
                first = Some(held);
                continue;
            };
            let differ: Vec<_> =
                first.iter().zip(&held).filter(|(one, other)| one != other).collect();
            if let Some((one, other)) = differ.first() {
                let name = &self.herd.servers[at].name;
                let what = format!(
                    "{} clients differ, for one {}: {} has {:?}, {name} {:?}",
                    differ.len(),
                    one.0,
                    self.herd.servers[0].name,
                    one.1,
                    other.1
                );
                if counted.is_some() {
                    return Err(Cut::Failed(format!("all digests are equal, but {what}")));
                }
                return Ok(Err(what));
            }
        }
        let held = first.unwrap_or_default();
        let known = held.iter().filter(|(_, at)| at.is_some()).count() as u64;
        if let Some(counted) = counted.filter(|counted| *counted != known) {
            return Err(Cut::Failed(format!(
                "{counted} records are held, but of our clients {known}"
            )));
        }
        self.judge(&held)
    }

    fn judge(&self, held: &[(String, Option<At>)]) -> Result<Result<Vec<Answered>, String>, Cut> {
        let mut lost = Vec::new();
        for verdict in self.clients.oracle().judge(held) {
            match verdict {
                Verdict::Forged(at) => {
                    return Err(Cut::Failed(format!("nobody reported this, or not so: {at:?}")));
                }
                Verdict::Missing(answered) => lost.push(answered),
            }
        }
        let now = Instant::now();
        let may_be_lost = |lost: &&Answered| {
            self.setting.disk() != Disk::AtReply && self.herd.timeline.may_be_lost(lost.birth, now)
        };
        if let Some(answered) = lost.iter().find(|lost| !may_be_lost(lost)) {
            let age = self.herd.timeline.age_at_kill(answered.birth);
            return Ok(Err(format!(
                "{} reports that were answered are lost, among them one that may not be: {:?}, {}",
                lost.len(),
                answered.at,
                match age {
                    Some(age) => format!("answered {age:?} before its origin was ended"),
                    None => "though its origin was not ended since".to_string(),
                }
            )));
        }
        Ok(Ok(lost))
    }

    /// Counts what is lost; nobody has to hold it any more.
    fn account(&self, lost: &[Answered]) -> Result<Vec<Loss>, Cut> {
        let refused = self.clients.counts().refused;
        if refused > 0 && self.setting.disk() != Disk::AtReply {
            return Err(Cut::Failed(format!("{refused} valid reports were answered with `? `")));
        }
        let losses = lost.iter().map(|answered| {
            self.clients.oracle().forget(answered);
            Loss { age: self.herd.timeline.age_at_kill(answered.birth).unwrap_or_default() }
        });
        Ok(losses.collect())
    }
}

impl Cut {
    fn after(self, planned: &[Planned]) -> Self {
        match self {
            Self::Failed(why) => Self::Failed(format!("{}: {why}", shown(planned))),
            Self::Interrupted => Self::Interrupted,
        }
    }
}

fn shown(planned: &[Planned]) -> String {
    let one = |one: &Planned| {
        let (begins, lasts) = (one.begins.as_secs_f64(), one.lasts.as_secs_f64());
        format!("{} at {begins:.1} for {lasts:.1} s", one.fault)
    };
    planned.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// `freeze Ball at 0.4 for 2.1 s: 1021 answered, 0 lost, equal after 0.8 s`
impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heal = self.heal.as_secs_f64();
        write!(
            f,
            "{}: {} answered, {} lost",
            shown(&self.planned),
            self.counts.answered,
            self.losses.len()
        )?;
        if let Some(oldest) = self.losses.iter().map(|loss| loss.age).max() {
            write!(f, " (the oldest {:.2} s before its origin's end)", oldest.as_secs_f64())?;
        }
        write!(f, ", equal after {heal:.1} s")
    }
}
