//! An open file of the faulty file system.

use std::{io, path::PathBuf};

use levada_log::vfs::VfsFile;

use super::{
    FaultyFs, Machine,
    change::Change,
    disk::FileId,
    faults::{Fault, Life},
};

/// An open file.
#[derive(Debug)]
pub(super) struct FaultyFile {
    pub(super) fs: FaultyFs,
    pub(super) path: PathBuf,
    pub(super) file: FileId,
}

impl VfsFile for FaultyFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.fs.call("read", &self.path, |machine| {
            machine.control.meets_read_error()?;
            if machine.control.fires(Fault::Interrupted) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let content = &machine.disk.file(self.file).live;
            let from = index(offset).min(content.len());
            let len = buf.len().min(content.len() - from);
            buf[..len].copy_from_slice(&content[from..from + len]);
            machine.control.note_bytes(offset, &buf[..len]);
            Ok(len)
        })
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        let written = self.fs.call("write", &self.path, |machine| {
            if machine.control.fires(Fault::Interrupted) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let len = machine.takes(self.file, buf.len(), index(offset))?;
            machine.write(self.file, &buf[..len], offset);
            Ok(len)
        });
        let mut machine = self.fs.machine();
        if machine.control.life == Life::Crashing {
            // A process that is killed in a write leaves the front of it.
            machine.control.life = Life::Crashed;
            let len = machine.control.rng.below(buf.len() as u64 + 1);
            machine.write(self.file, &buf[..index(len)], offset);
        }
        written
    }

    fn sync_data(&self) -> io::Result<()> {
        self.fs.call("sync", &self.path, |machine| {
            if !machine.control.fires(Fault::SyncFailed) {
                machine.disk.file(self.file).sync();
                return Ok(());
            }
            let file = machine.disk.file(self.file);
            for change in std::mem::take(&mut file.unsynced) {
                if machine.control.rng.chance(1, 2) {
                    change.apply(&mut machine.disk.file(self.file).durable);
                }
            }
            Err(io::Error::other("the file could not be synced"))
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.fs.call("set_len", &self.path, |machine| {
            let file = machine.disk.file(self.file);
            if index(len) > file.live.len() {
                machine.control.needs_room()?;
            }
            let file = machine.disk.file(self.file);
            let before = file.room;
            file.change(Change::SetLen(index(len)));
            let freed = before - file.room;
            if let Some(room) = &mut machine.control.room {
                *room += freed;
            }
            Ok(())
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.fs.call("len", &self.path, |machine| {
            Ok(machine.disk.file(self.file).live.len() as u64)
        })
    }
}

impl Drop for FaultyFile {
    fn drop(&mut self) {
        let mut machine = self.fs.machine();
        machine.disk.file(self.file).opened -= 1;
        machine.let_go(self.file);
    }
}

impl Machine {
    /// How many of `len` bytes a write at `offset` takes.
    fn takes(&mut self, file: FileId, len: usize, offset: usize) -> io::Result<usize> {
        let control = &mut self.control;
        let mut taken = len;
        if len > 1 && control.fires(Fault::ShortWrite) {
            taken = 1 + index(control.rng.below(len as u64 - 1));
        }
        let Some(room) = control.room else {
            return Ok(taken);
        };
        let grows = (offset + taken).saturating_sub(self.disk.file(file).live.len());
        let lacks = grows.saturating_sub(index(room));
        taken = taken.saturating_sub(lacks);
        if lacks > 0 {
            control.fired.count(Fault::NoSpace);
        }
        if taken == 0 && len > 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        control.room = Some(room - (grows - lacks) as u64);
        Ok(taken)
    }

    fn write(&mut self, file: FileId, bytes: &[u8], offset: u64) {
        self.control.note_bytes(offset, bytes);
        if !bytes.is_empty() {
            let (offset, bytes) = (index(offset), bytes.to_vec());
            self.disk.file(file).change(Change::Write { offset, bytes });
        }
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number).expect("a file in memory is addressed by usize")
}
