//! A child's standard error: bytes in, the last lines out, with secrets replaced. Bounded in number
//! and length of lines.

use crate::limits;
use std::{cell::RefCell, collections::VecDeque, rc::Rc};

/// The last lines; clones share them.
#[derive(Clone, Debug, Default)]
pub struct ChildLog(Rc<RefCell<Lines>>);

#[derive(Debug, Default)]
struct Lines {
    secrets: Vec<String>,
    lines: VecDeque<String>,
    /// The unfinished line.
    open: Vec<u8>,
}

impl ChildLog {
    /// A log that replaces each of `secrets` with `***`.
    pub fn new(mut secrets: Vec<String>) -> ChildLog {
        secrets.retain(|secret| !secret.is_empty());
        // Longest first: one secret may be part of another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        ChildLog(Rc::new(RefCell::new(Lines { secrets, ..Lines::default() })))
    }

    /// Returns the lines, oldest first.
    pub fn lines(&self) -> Vec<String> {
        self.0.borrow().lines.iter().cloned().collect()
    }

    /// Returns the last line, empty if there is none.
    pub fn last(&self) -> String {
        self.0.borrow().lines.back().cloned().unwrap_or_default()
    }

    pub(super) fn take(&self, bytes: &[u8]) {
        self.0.borrow_mut().take(bytes);
    }

    pub(super) fn end(&self) {
        self.0.borrow_mut().end_line();
    }
}

impl Lines {
    fn take(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' || byte == b'\r' {
                self.end_line();
            } else if self.open.len() < limits::PROCESS_LOG_RAW_BYTES_MAX {
                self.open.push(byte);
            }
        }
    }

    fn end_line(&mut self) {
        let line = String::from_utf8_lossy(&self.open);
        let mut line: String = line.chars().filter(|it| !it.is_control()).collect();
        self.open.clear();
        for secret in &self.secrets {
            if line.contains(secret.as_str()) {
                line = line.replace(secret.as_str(), "***");
            }
        }
        line.truncate(line.floor_char_boundary(limits::PROCESS_LOG_LINE_BYTES_MAX));
        if line.trim().is_empty() {
            return;
        }
        if self.lines.len() == limits::PROCESS_LOG_LINES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_however_they_arrive() {
        let text: String = (0..20).map(|number| format!("line {number}\r\n")).collect();
        for piece in 1..10 {
            let log = ChildLog::default();
            text.as_bytes().chunks(piece).for_each(|piece| log.take(piece));
            log.take(b"no end");
            log.end();
            let lines = log.lines();
            assert_eq!(lines.len(), limits::PROCESS_LOG_LINES_MAX);
            assert_eq!(lines.last().unwrap(), "no end");
            assert_eq!(lines[lines.len() - 2], "line 19");
        }
    }

    #[test]
    fn a_secret_is_replaced_before_the_line_is_cut() {
        let log = ChildLog::new(vec!["".into(), "pa".into(), "admin:pa".into()]);
        log.take(b"rtsp://admin:pa@camera/: pa\n");
        assert_eq!(log.last(), "rtsp://***@camera/: ***");
        let long = "x".repeat(limits::PROCESS_LOG_LINE_BYTES_MAX - 3) + "admin:pa";
        log.take(long.as_bytes());
        log.end();
        assert!(log.last().ends_with("x***"));
    }

    #[test]
    fn a_line_without_end_takes_bounded_memory() {
        let log = ChildLog::default();
        (0..1000).for_each(|_| log.take(&[0xff; 512]));
        assert!(log.0.borrow().open.len() <= limits::PROCESS_LOG_RAW_BYTES_MAX);
        log.end();
        assert!(log.last().len() <= limits::PROCESS_LOG_LINE_BYTES_MAX);
    }
}
