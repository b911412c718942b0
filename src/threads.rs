//! Where threads are born: named by role first (Linux keeps 15 bytes of a name) and counted.
//!
//! Threads that we start ourselves come from `spawn` (or `spawn_scoped`) and are joined by who started them; `live`
//! says how many there are. The workers come from `pool`: the `threadpool` crate owns those
//! threads, and its `active_count` and `panic_count` say what they do.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Builder, JoinHandle, Scope, ScopedJoinHandle};

use threadpool::ThreadPool;

/// Bytes of a thread's name that Linux keeps; macOS keeps more.
const NAME_BYTES: usize = 15;

/// The threads of this process that were started here and have not ended.
static LIVE: Count = Count::new();

/// Starts a thread named `role-detail`, cut to 15 bytes (`role` alone if `detail` is empty), and
/// counts it until it ends, by a panic too.
///
/// # Errors
///
/// The operating system's, when it has no room for another thread.
pub fn spawn<T: Send + 'static>(
    role: &'static str,
    detail: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    spawn_counted(&LIVE, name(role, detail), run)
}

/// As [`spawn`], for a thread that borrows what outlives the scope.
///
/// # Errors
///
/// As [`spawn`].
pub fn spawn_scoped<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    role: &'static str,
    run: impl FnOnce() -> T + Send + 'scope,
) -> io::Result<ScopedJoinHandle<'scope, T>> {
    let run = counted(&LIVE, run);
    Builder::new().name(name(role, "")).spawn_scoped(scope, run)
}

/// How many threads that [`spawn`] and [`spawn_scoped`] started are running, over all servers in
/// this process. A thread that was joined is not among them.
pub fn live() -> usize {
    LIVE.now()
}

/// A pool of `size` threads that share the name `role`.
///
/// # Panics
///
/// If `size` is 0, and if the operating system has no room for so many threads: the conf is
/// checked for both before.
pub fn pool(role: &'static str, size: usize) -> ThreadPool {
    threadpool::Builder::new().num_threads(size).thread_name(name(role, "")).build()
}

fn spawn_counted<T: Send + 'static>(
    count: &'static Count,
    name: String,
    run: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    Builder::new().name(name).spawn(counted(count, run))
}

/// Counted from here, so that the thread is in the count when `spawn` returns; if no thread comes to
/// be, the closure is dropped and the place in the count with it.
fn counted<T>(count: &'static Count, run: impl FnOnce() -> T) -> impl FnOnce() -> T {
    let counted = count.enter();
    move || {
        let _counted = counted;
        run()
    }
}

fn name(role: &str, detail: &str) -> String {
    let whole = if detail.is_empty() { role.to_owned() } else { format!("{role}-{detail}") };
    // std panics at a NUL in a name.
    whole[..whole.floor_char_boundary(NAME_BYTES)].replace('\0', "_")
}

/// How many of something there are now.
struct Count(AtomicUsize);

/// One of them: gone when dropped.
struct Counted(&'static Count);

impl Count {
    const fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    fn enter(&'static self) -> Counted {
        self.0.fetch_add(1, Ordering::Relaxed);
        Counted(self)
    }

    fn now(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_role_first_and_cut_to_15_bytes_between_characters() {
        assert_eq!(name("log", "Ball"), "log-Ball");
        assert_eq!(name("log", ""), "log");
        assert_eq!(name("link-out", "Hamilton"), "link-out-Hamilt");
        assert_eq!(name("link-out-pro", "\u{20ac}uro"), "link-out-pro-");
        assert_eq!(name("log", "a\0b"), "log-a_b");
    }

    #[test]
    fn a_thread_carries_its_name() {
        let named = || std::thread::current().name().map(str::to_owned);
        let seen = spawn("role", "a detail that is long", named).unwrap().join().unwrap();
        assert_eq!(seen.as_deref(), Some("role-a detail t"));
    }

    #[test]
    fn a_thread_is_counted_until_it_ends() {
        static COUNT: Count = Count::new();
        let (release, gate) = crossbeam_channel::bounded::<()>(0);
        let thread = spawn_counted(&COUNT, name("gate", ""), move || gate.recv()).unwrap();
        assert_eq!(COUNT.now(), 1);
        drop(release);
        thread.join().unwrap().unwrap_err();
        assert_eq!(COUNT.now(), 0);
    }

    #[test]
    fn a_thread_that_panics_leaves_the_count() {
        static COUNT: Count = Count::new();
        let panics = || std::panic::resume_unwind(Box::new("meant"));
        let thread = spawn_counted::<()>(&COUNT, name("panics", ""), panics).unwrap();
        assert_eq!(thread.join().unwrap_err().downcast_ref(), Some(&"meant"));
        assert_eq!(COUNT.now(), 0);
    }

    #[test]
    fn live_counts_what_spawn_starts() {
        let (release, gate) = crossbeam_channel::bounded::<()>(0);
        let thread = spawn("gate", "", move || gate.recv()).unwrap();
        assert!(live() >= 1);
        drop(release);
        thread.join().unwrap().unwrap_err();
    }

    #[test]
    fn a_pool_has_its_size_and_its_threads_the_name_of_its_role() {
        let pool = pool("worker", 3);
        let (send, names) = crossbeam_channel::unbounded();
        pool.execute(move || {
            let _ = send.send(std::thread::current().name().map(str::to_owned));
        });
        assert_eq!(pool.max_count(), 3);
        assert_eq!(names.recv().unwrap().as_deref(), Some("worker"));
        pool.join();
    }
}
