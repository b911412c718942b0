//! What the libraries say (ureq, rustls, through the `log` facade) goes to the same file.

use std::io;
use std::time::SystemTime;

use ::log::{LevelFilter, Record};
use flexi_logger::writers::LogWriter;
use flexi_logger::{DeferredNow, LogSpecification, Logger, LoggerHandle};

use super::{Log, LogError};

/// Keeps the forwarding of the libraries' messages alive.
#[must_use = "messages are forwarded while this lives"]
pub struct GlobalLog(#[expect(dead_code)] LoggerHandle);

/// Sends what libraries log, at warn or above, to this log; nothing blocks on the way. For the
/// process of one server; in one with several the first keeps it.
///
/// # Errors
///
/// [`LogError::Global`] if this process has such a log already.
pub fn set_global(log: &Log) -> Result<GlobalLog, LogError> {
    let level = log.level().min(LevelFilter::Warn);
    let (logger, handle) = Logger::with(LogSpecification::from(level))
        .log_to_writer(Box::new(Forward { log: log.clone(), level }))
        .panic_if_error_channel_is_broken(false)
        .build()?;
    ::log::set_boxed_logger(logger).map_err(flexi_logger::FlexiLoggerError::from)?;
    Ok(GlobalLog(handle))
}

struct Forward {
    log: Log,
    level: LevelFilter,
}

impl LogWriter for Forward {
    fn write(&self, _now: &mut DeferredNow, record: &Record<'_>) -> io::Result<()> {
        let message = format_args!("{}: {}", record.target(), record.args());
        self.log.event_at(SystemTime::now(), record.level(), message);
        Ok(())
    }

    /// The log's own thread does that.
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    fn max_log_level(&self) -> LevelFilter {
        self.level
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::log::tests::{TestDir, whole};

    use super::*;

    #[test]
    fn what_libraries_say_goes_to_the_log_from_warn_up_and_stays_one_line() {
        let dir = TestDir::new();
        let (log, thread) = dir.open(|conf| conf.level = LevelFilter::Trace);
        let _global = set_global(&log).unwrap();
        ::log::warn!(target: "ureq::pool", "two\nlines");
        ::log::info!(target: "ureq::pool", "not wanted");
        thread.close(Duration::from_secs(10)).unwrap();
        let text = whole(&dir.path());
        assert!(text.contains(r" WARN  ureq::pool: two\nlines"), "{text}");
        assert!(!text.contains("not wanted"), "{text}");
        assert!(matches!(set_global(&log), Err(LogError::Global(_))));
    }
}
