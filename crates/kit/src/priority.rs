//! Who goes first when there is less processor than work.

/// How far background work steps back: beside a thread that serves calls it gets about a tenth of a processor.
const BACKGROUND: i32 = 10;

/// Lets the calling thread, and threads it starts from now on, step back behind those that serve calls: they come last, and
/// leave one processor alone where there are several, so that a call that arrives finds one at once. Where the system does not
/// allow it nothing changes: it is a matter of latency, not of correctness.
pub fn step_back() {
    // On Linux, niceness belongs to the thread and is inherited. Nobody may step forward again, so a program that was
    // started further back stays there.
    if rustix::process::getpriority_process(None).is_ok_and(|now| now < BACKGROUND) {
        let _latency_only = rustix::process::setpriority_process(None, BACKGROUND);
    }
    #[cfg(target_os = "linux")]
    leave_one_processor();
}

/// A thread that came last is still not interrupted in its slice, some milliseconds, when a call arrives.
#[cfg(target_os = "linux")]
fn leave_one_processor() {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    let Ok(mut allowed) = sched_getaffinity(None) else { return };
    if allowed.count() > 1
        && let Some(first) = (0..CpuSet::MAX_CPU).find(|processor| allowed.is_set(*processor))
    {
        allowed.unset(first);
        let _latency_only = sched_setaffinity(None, &allowed);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn threads_started_later_step_back_too() {
        let niceness = || rustix::process::getpriority_process(None).unwrap();
        let processors = || std::thread::available_parallelism().unwrap().get();
        let all = processors();
        let before = niceness();
        std::thread::spawn(move || {
            super::step_back();
            assert_eq!(niceness(), super::BACKGROUND.max(before));
            std::thread::spawn(move || assert_eq!(niceness(), super::BACKGROUND.max(before))).join().unwrap();
            assert_eq!(processors(), (all - 1).max(1), "one processor is left alone");
        })
        .join()
        .unwrap();
        assert_eq!((niceness(), processors()), (before, all), "other threads are as they were");
    }
}
