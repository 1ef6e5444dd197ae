//! Writes that follow one another in a file: small ones are gathered, large ones go as they are.
//!
//! A call costs about as much as a copy of some KiB, and a copy of more than that costs more than
//! the call.

use std::io;

use super::VfsFile;

/// From this length on bytes are not copied.
const LARGE: usize = 16 << 10;
/// Small ones are gathered up to this length.
const GATHERED: usize = 1 << 20;

/// Writes one after another from a place in a file on.
pub(crate) struct Gathered<'a> {
    file: &'a dyn VfsFile,
    /// Where `buffer` goes.
    position: u64,
    /// What is not written yet.
    buffer: &'a mut Vec<u8>,
}

impl<'a> Gathered<'a> {
    /// Starts at `position`; `buffer` is for its room.
    pub(crate) fn at(file: &'a dyn VfsFile, position: u64, buffer: &'a mut Vec<u8>) -> Self {
        buffer.clear();
        Self {
            file,
            position,
            buffer,
        }
    }

    /// Writes `bytes` next, now or later.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() < LARGE {
            self.buffer.extend_from_slice(bytes);
            return match self.buffer.len() {
                ..GATHERED => Ok(()),
                _ => self.write(),
            };
        }
        self.write()?;
        self.file.write_all_at(bytes, self.position)?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    /// Writes what is left, and says where it ends.
    pub(crate) fn end(mut self) -> io::Result<u64> {
        self.write()?;
        Ok(self.position)
    }

    fn write(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            self.file.write_all_at(self.buffer, self.position)?;
            self.position += self.buffer.len() as u64;
            self.buffer.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::{Open, OsFs, Vfs};

    #[test]
    fn bytes_lie_in_the_order_in_which_they_were_put_however_long_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let file = OsFs.open(&path, Open::CreateNew).unwrap();
        file.write_all_at(b"before", 0).unwrap();
        let lens = [1, LARGE - 1, LARGE, 0, LARGE + 1, 3, GATHERED + 1, 2];
        let parts = (0_u8..).zip(lens).map(|(byte, len)| vec![byte; len]);
        let parts: Vec<Vec<u8>> = parts.collect();

        let mut buffer = b"left over".to_vec();
        let mut gathered = Gathered::at(&*file, 6, &mut buffer);
        for part in &parts {
            gathered.put(part).unwrap();
        }
        // More small ones than are gathered at once.
        for _ in 0..2 * GATHERED / LARGE {
            gathered.put(&[9; LARGE - 1]).unwrap();
        }
        let end = gathered.end().unwrap();

        let mut expected = [b"before".to_vec(), parts.concat()].concat();
        expected.resize(expected.len() + 2 * GATHERED / LARGE * (LARGE - 1), 9);
        assert_eq!(end, expected.len() as u64);
        assert!(std::fs::read(&path).unwrap() == expected);
    }
}
