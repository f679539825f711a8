//! Who goes first when there is less processor than work.

/// How far background work steps back: beside a thread that serves calls it gets about a tenth of a processor.
const BACKGROUND: i32 = 10;

/// Lets the calling thread, and threads it starts from now on, step back behind those that serve calls. Where the system
/// does not allow it nothing changes: it is a matter of latency, not of correctness.
pub fn step_back() {
    // On Linux, niceness belongs to the thread and is inherited. Nobody may step forward again, so a program that was
    // started further back stays there.
    if rustix::process::getpriority_process(None).is_ok_and(|now| now < BACKGROUND) {
        let _latency_only = rustix::process::setpriority_process(None, BACKGROUND);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn threads_started_later_step_back_too() {
        let niceness = || rustix::process::getpriority_process(None).unwrap();
        let before = niceness();
        std::thread::spawn(move || {
            super::step_back();
            assert_eq!(niceness(), super::BACKGROUND.max(before));
            std::thread::spawn(move || assert_eq!(niceness(), super::BACKGROUND.max(before))).join().unwrap();
        })
        .join()
        .unwrap();
        assert_eq!(niceness(), before, "other threads are as they were");
    }
}
