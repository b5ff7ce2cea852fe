//! How much was written to the card over its life, counted in a file of its own on it.

use super::Card;
use crate::{
    limits::CARD_WEAR_STEP_BYTES,
    storage::{
        disk::{Access, Disk},
        facts::{RECORD_BYTES, of_records, record},
        layout,
    },
};
use std::io;

impl<D: Disk> Card<D> {
    /// A recording of so many bytes was written.
    pub(super) fn wear(&mut self, bytes: u64) {
        self.unsaved_bytes = self.unsaved_bytes.saturating_add(bytes);
        let is_first = self.list().facts.written_bytes.is_none();
        if is_first || self.unsaved_bytes >= CARD_WEAR_STEP_BYTES {
            self.save_wear();
        }
    }

    /// Adds to the file what was written since; at worst a power cut forgets one step. Its
    /// errors are not reported: a card with errors reports others.
    pub(super) fn save_wear(&mut self) {
        if self.unsaved_bytes == 0 || !self.is_writable() {
            return;
        }
        if let Ok(written) = self.add_wear() {
            self.unsaved_bytes = 0;
            self.list().facts.written_bytes = Some(written);
        }
    }

    fn add_wear(&mut self) -> io::Result<u64> {
        let root = self.root.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let path = root.join(layout::WRITTEN);
        let file = match self.disk.open(&path, Access::ReadWrite) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let file = self.create_named(root, layout::WRITTEN)?;
                self.disk.allocate(&file, 2 * RECORD_BYTES as u64)?;
                self.disk.sync_directory(root)?;
                file
            }
            result => result?,
        };
        let records = self.disk.read_whole(&file, 2 * RECORD_BYTES)?;
        let before = of_records(&records).unwrap_or(0);
        let written = before.saturating_add(self.unsaved_bytes);
        // Over the older record.
        let (first, second) = records.split_at(records.len().min(RECORD_BYTES));
        let offset = if of_records(first) <= of_records(second) { 0 } else { RECORD_BYTES as u64 };
        self.disk.write_all_at(&file, &record(written), offset)?;
        self.disk.sync_data(&file)?;
        Ok(written)
    }
}
