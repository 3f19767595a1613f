//! The log: a thread of its own writes it. Whoever reads it slowly holds up nobody but that thread: when too many lines
//! wait, further ones are counted instead of kept.

use std::io::{BufWriter, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// Lines that may wait.
const WAITING: usize = 8192;

#[derive(Clone)]
pub(crate) struct Log {
    lines: SyncSender<Option<String>>,
    lost: Arc<AtomicU64>,
    writer: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Log {
    pub(crate) fn start() -> Log {
        let (lines, waiting) = sync_channel(WAITING);
        let writer = thread::spawn(move || write(&waiting));
        Log { lines, lost: Arc::default(), writer: Arc::new(Mutex::new(Some(writer))) }
    }

    pub(crate) fn say(&self, line: String) {
        if self.lines.try_send(Some(line)).is_err() {
            self.lost.fetch_add(1, Relaxed);
        }
    }

    /// The last words, after everything that waits. Returns when they are written.
    pub(crate) fn close(&self, last: String) {
        let lost = self.lost.load(Relaxed);
        let note = (lost > 0).then(|| format!("proxy: {lost} lines of the log were lost"));
        for line in note.into_iter().chain([last]).map(Some).chain([None]) {
            let _ = self.lines.send(line);
        }
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let _ = writer.map(JoinHandle::join);
    }
}

/// Flushes when nothing waits.
fn write(lines: &Receiver<Option<String>>) {
    let mut out = BufWriter::new(std::io::stdout().lock());
    while let Ok(Some(line)) = lines.recv() {
        let _ = writeln!(out, "{line}");
        while let Ok(waiting) = lines.try_recv() {
            let Some(line) = waiting else { return drop(out.flush()) };
            let _ = writeln!(out, "{line}");
        }
        let _ = out.flush();
    }
}
