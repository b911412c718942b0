//! `[pool]`, `[limits]`, `[links]`, `[data]`, `[admin]`, `[places]` and `[log]`: each key's range, and what the machine
//! can hold.

use std::path::PathBuf;
use std::time::Duration;

use toml::Value;

use super::error::{ConfigError, Source};
use super::file::{self, Setting};
use super::values::{Table, count, duration, number, one_of, shown, size, text, truth};
use super::{Admin, Data, Durability, Limits, Links, Log, Places, Pool, PoolMode, ProviderKind};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const DAY: Duration = Duration::from_hours(24);

/// The shortest timeout, for all of them: below it, a busy machine's scheduling alone would be
/// taken for a peer that hangs.
const SHORTEST: Duration = Duration::from_millis(10);

pub(super) fn pool(source: Source<'_>, raw: &file::Pool) -> Result<Pool, ConfigError> {
    let table = table(source, "pool");
    let default = Pool::default();
    let modes = &[("lots", PoolMode::Lots), ("pinned", PoolMode::Pinned)];
    let idle = duration(SHORTEST..=30 * DAY);
    Ok(Pool {
        mode: table.read("mode", &raw.mode, one_of(modes))?.unwrap_or(default.mode),
        workers: table
            .read("workers", &raw.workers, count(1..=100_000))?
            .unwrap_or(default.workers),
        max_connections: table
            .read("max_connections", &raw.max_connections, count(1..=1_000_000))?
            .unwrap_or(default.max_connections),
        max_connections_per_address: table
            .read(
                "max_connections_per_address",
                &raw.max_connections_per_address,
                count(1..=1_000_000),
            )?
            .unwrap_or(default.max_connections_per_address),
        idle_timeout: table
            .read("idle_timeout", &raw.idle_timeout, idle)?
            .unwrap_or(default.idle_timeout),
    })
}

pub(super) fn limits(source: Source<'_>, raw: &file::Limits) -> Result<Limits, ConfigError> {
    let table = table(source, "limits");
    let default = Limits::default();
    let per_connection = number(1..=1_000_000_000);
    let timeout = || duration(SHORTEST..=DAY);
    Ok(Limits {
        max_line: table
            // An UPDATE takes up to 512 bytes, so no server may have a lower limit.
            .read("max_line", &raw.max_line, size(512..=MIB))?
            .map_or(default.max_line, |bytes| bytes as usize),
        max_ahead: table
            .read("max_ahead", &raw.max_ahead, duration(Duration::ZERO..=3650 * DAY))?
            .unwrap_or(default.max_ahead),
        commands_per_connection: table
            .read("commands_per_connection", &raw.commands_per_connection, per_connection)?
            .or(default.commands_per_connection),
        line_timeout: table
            .read("line_timeout", &raw.line_timeout, timeout())?
            .unwrap_or(default.line_timeout),
        write_timeout: table
            .read("write_timeout", &raw.write_timeout, timeout())?
            .unwrap_or(default.write_timeout),
        max_untaken: table
            .read("max_untaken", &raw.max_untaken, size(4 * KIB..=16 * MIB))?
            .map_or(default.max_untaken, |bytes| bytes as usize),
        max_records: table
            .read("max_records", &raw.max_records, count(1..=1_000_000_000))?
            .unwrap_or(default.max_records),
    })
}

pub(super) fn links(source: Source<'_>, raw: &file::Links) -> Result<Links, ConfigError> {
    let table = table(source, "links");
    let default = Links::default();
    let timeout = duration(Duration::from_millis(100)..=Duration::from_mins(10));
    Ok(Links {
        timeout: table.read("timeout", &raw.timeout, timeout)?.unwrap_or(default.timeout),
        one_shot_dials_per_second: table
            .read("one_shot_dials_per_second", &raw.one_shot_dials_per_second, number(1..=10_000))?
            .map_or(default.one_shot_dials_per_second, |dials| dials as u32),
        key_file: table.read("key_file", &raw.key_file, text)?.map(PathBuf::from),
        sync_interval: table
            .read("sync_interval", &raw.sync_interval, duration(Duration::from_secs(1)..=DAY))?
            .unwrap_or(default.sync_interval),
    })
}

pub(super) fn data(source: Source<'_>, raw: &file::Data) -> Result<Data, ConfigError> {
    let table = table(source, "data");
    let default = Data::default();
    let durabilities = &[
        ("none", Durability::None),
        ("interval", Durability::Interval),
        ("always", Durability::Always),
    ];
    let interval = duration(SHORTEST..=Duration::from_hours(1));
    let commit_timeout = duration(SHORTEST..=Duration::from_mins(5));
    let expire_after = duration(Duration::from_secs(1)..=36_500 * DAY);
    Ok(Data {
        dir: table.read("dir", &raw.dir, text)?.map(PathBuf::from),
        durability: table
            .read("durability", &raw.durability, one_of(durabilities))?
            .unwrap_or(default.durability),
        interval: table.read("interval", &raw.interval, interval)?.unwrap_or(default.interval),
        commit_timeout: table
            .read("commit_timeout", &raw.commit_timeout, commit_timeout)?
            .unwrap_or(default.commit_timeout),
        expire_after: table.read("expire_after", &raw.expire_after, expire_after)?,
    })
}

pub(super) fn admin(source: Source<'_>, raw: &file::Admin) -> Result<Admin, ConfigError> {
    let beyond_loopback =
        table(source, "admin").read("beyond_loopback", &raw.beyond_loopback, truth)?;
    Ok(Admin { beyond_loopback: beyond_loopback.unwrap_or_default() })
}

pub(super) fn places(source: Source<'_>, raw: &file::Places) -> Result<Places, ConfigError> {
    let table = table(source, "places");
    let default = Places::default();
    let providers = &[
        ("gazetteer", ProviderKind::Gazetteer),
        ("google", ProviderKind::Google),
        ("google-legacy", ProviderKind::GoogleLegacy),
        ("overpass", ProviderKind::Overpass),
    ];
    let timeout = duration(SHORTEST..=Duration::from_mins(5));
    let places = Places {
        provider: table
            .read("provider", &raw.provider, one_of(providers))?
            .unwrap_or(default.provider),
        base_url: table.read("base_url", &raw.base_url, base_url)?,
        key_env: table.read("key_env", &raw.key_env, variable)?,
        key_file: table.read("key_file", &raw.key_file, text)?.map(PathBuf::from),
        timeout: table.read("timeout", &raw.timeout, timeout)?.unwrap_or(default.timeout),
        workers: table.read("workers", &raw.workers, count(1..=1_000))?.unwrap_or(default.workers),
        queue: table.read("queue", &raw.queue, count(1..=1_000_000))?.unwrap_or(default.queue),
        whatsat_per_second: table
            .read("whatsat_per_second", &raw.whatsat_per_second, number(1..=1_000_000))?
            .map_or(default.whatsat_per_second, |rate| rate as u32),
        whatsat_per_second_per_address: table
            .read(
                "whatsat_per_second_per_address",
                &raw.whatsat_per_second_per_address,
                number(1..=1_000_000),
            )?
            .map_or(default.whatsat_per_second_per_address, |rate| rate as u32),
    };
    check_key(&table, raw, &places)?;
    Ok(places)
}

pub(super) fn log(source: Source<'_>, raw: &file::Log) -> Result<Log, ConfigError> {
    use log::LevelFilter as Level;
    let table = table(source, "log");
    let default = Log::default();
    let levels = &[
        ("off", Level::Off),
        ("error", Level::Error),
        ("warn", Level::Warn),
        ("info", Level::Info),
        ("debug", Level::Debug),
        ("trace", Level::Trace),
    ];
    Ok(Log {
        dir: table.read("dir", &raw.dir, text)?.map_or(default.dir, PathBuf::from),
        level: table.read("level", &raw.level, one_of(levels))?.unwrap_or(default.level),
        traffic: table.read("traffic", &raw.traffic, truth)?.unwrap_or(default.traffic),
        max_size: table
            .read("max_size", &raw.max_size, size(4 * KIB..=1024 * 1024 * MIB))?
            .unwrap_or(default.max_size),
        keep: table.read("keep", &raw.keep, count(1..=1_000))?.unwrap_or(default.keep),
    })
}

/// What decides how many threads a process may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Machine {
    pub(super) cores: usize,
    /// Memory maps that a process may have; `None` where the system has no such limit.
    pub(super) max_map_count: Option<usize>,
}

impl Machine {
    pub(super) fn this() -> Self {
        let max_map_count = std::fs::read_to_string("/proc/sys/vm/max_map_count").ok();
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            max_map_count: max_map_count.and_then(|text| text.trim().parse().ok()),
        }
    }
}

/// Memory maps that a thread of Rust's std takes on Linux: its stack and its signal stack, each with
/// a guard page. std aborts the process when a thread gets no map.
const MAPS_PER_THREAD: usize = 4;

/// Memory maps kept for all that is no worker: the program, its libraries, the allocator's arenas,
/// and the threads of the links and the log.
const MAPS_FOR_THE_REST: usize = 2_048;

/// Refuses a pool of which a server could not start all threads.
pub(super) fn check_pool(
    source: Source<'_>,
    raw: &file::File,
    pool: &Pool,
    places: &Places,
    machine: Machine,
) -> Result<(), ConfigError> {
    let Some(maps) = machine.max_map_count else { return Ok(()) };
    let most = maps.saturating_sub(MAPS_FOR_THE_REST) / MAPS_PER_THREAD;
    let (threads, (key, setting), remedy) = match pool.mode {
        PoolMode::Pinned => {
            let key = ("[pool] workers", raw.pool.workers.as_ref().or(raw.pool.mode.as_ref()));
            (pool.workers, key, "lower workers, set mode = \"lots\"")
        }
        PoolMode::Lots => {
            let key = ("[places] workers", raw.places.workers.as_ref());
            (machine.cores + places.workers, key, "lower workers")
        }
    };
    if threads <= most {
        return Ok(());
    }
    Err(source.refuse(
        setting.map_or(0..0, toml::Spanned::span),
        format!(
            "{key}: {threads} threads are more than this machine can hold, which is {most} \
             (vm.max_map_count is {maps}, and a thread takes {MAPS_PER_THREAD} memory maps); \
             {remedy}, or raise vm.max_map_count"
        ),
    ))
}

/// Google's services answer nobody without a key, so that is said before a client finds out.
fn check_key(table: &Table<'_>, raw: &file::Places, places: &Places) -> Result<(), ConfigError> {
    let needs_key = matches!(places.provider, ProviderKind::Google | ProviderKind::GoogleLegacy);
    let refuse = |at: &Setting, what: &str| {
        let span = at.as_ref().map_or(0..0, toml::Spanned::span);
        Err(table.source.refuse(span, format!("{}{what}", table.label)))
    };
    match (&places.key_env, &places.key_file) {
        (Some(_), Some(_)) => refuse(
            &raw.key_file,
            "key_file: the key comes from key_env or from key_file; leave one of them out",
        ),
        (None, None) if needs_key => refuse(
            &raw.provider,
            "provider: this one needs an API key; set key_env to the name of an environment \
             variable that holds it, or key_file to a file",
        ),
        _ => Ok(()),
    }
}

/// Scheme, host, port and path. What may hold a secret is refused without showing it.
fn base_url(value: &Value) -> Result<String, String> {
    let url = text(value)?;
    if url.contains(['?', '@', '#']) {
        return Err("a user, password, query or fragment is not allowed (and is not shown here); \
                    write scheme, host, port and path, as in \"https://example.com/api\""
            .to_string());
    }
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    match rest {
        Some(rest)
            if !rest.is_empty()
                && !rest.starts_with('/')
                && rest.bytes().all(|byte| byte.is_ascii_graphic()) =>
        {
            Ok(url)
        }
        _ => Err(format!(
            "{} is no address; write scheme, host, port and path, as in \"https://example.com/api\"",
            shown(value)
        )),
    }
}

/// The name of an environment variable. What is none may be the key itself, so it is not shown.
fn variable(value: &Value) -> Result<String, String> {
    let name = value.as_str().unwrap_or_default();
    let is_name = !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_name {
        Ok(name.to_string())
    } else {
        Err("the value (not shown: it may be a key) is no name of an environment variable; \
             write the name only, such as \"GOOGLE_API_KEY\""
            .to_string())
    }
}

fn table<'a>(source: Source<'a>, name: &str) -> Table<'a> {
    Table { source, label: format!("[{name}] ") }
}
