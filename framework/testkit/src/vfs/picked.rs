//! Power cuts whose losses a test picks, so that it can try each.

use super::{FaultyFs, Machine, faults::Fault};

impl FaultyFs {
    /// How many changes were not synced, of contents and of names: what a power cut could lose.
    ///
    /// # Examples
    ///
    /// As for [`power_cut_keeping`](Self::power_cut_keeping).
    pub fn unsynced(&self) -> usize {
        let machine = self.machine();
        let contents = machine.disk.files.values().map(|file| file.unsynced.len());
        contents.sum::<usize>() + machine.disk.unsynced.len()
    }

    /// The file system that a power cut leaves behind if, of what was not synced, just these
    /// changes reached the disk, in this order. They are numbered from 0 up to
    /// [`unsynced`](Self::unsynced).
    ///
    /// # Panics
    ///
    /// If there is no change of such a number.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_core::Seed;
    /// use levada_log::vfs::{Open, Vfs};
    /// use levada_testkit::vfs::FaultyFs;
    /// use std::path::Path;
    ///
    /// let fs = FaultyFs::new(Seed::new(7));
    /// let file = fs.open(Path::new("/a"), Open::CreateNew)?;
    /// fs.sync_dir(Path::new("/"))?;
    /// file.write_all_at(b"first", 0)?;
    /// file.write_all_at(b"later", 5)?;
    ///
    /// assert_eq!(fs.unsynced(), 2);
    /// assert_eq!(fs.power_cut_keeping(&[1]).contents("/a").unwrap(), b"\0\0\0\0\0later");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn power_cut_keeping(&self, kept: &[usize]) -> Self {
        let mut machine = self.machine().clone();
        machine.cut_power_keeping(kept);
        machine.restart();
        Self::of(machine)
    }
}

impl Machine {
    fn cut_power_keeping(&mut self, kept: &[usize]) {
        let mut contents = Vec::new();
        for (id, file) in &mut self.disk.files {
            let changes = std::mem::take(&mut file.unsynced);
            contents.extend(changes.into_iter().map(|change| (*id, change)));
        }
        let names = std::mem::take(&mut self.disk.unsynced);
        for &at in kept {
            if let Some((id, change)) = contents.get(at) {
                change.apply(&mut self.disk.file(*id).durable);
            } else {
                names[at - contents.len()].apply(&mut self.disk.durable);
            }
        }
        for lost in (0..contents.len() + names.len()).filter(|at| !kept.contains(at)) {
            self.control.fired.count(match contents.get(lost) {
                Some(_) => Fault::LostWrite,
                None => Fault::LostName,
            });
        }
        for file in self.disk.files.values_mut() {
            file.live.clone_from(&file.durable);
        }
        self.disk.live = std::mem::take(&mut self.disk.durable);
        self.disk.drop_unreachable();
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use levada_core::Seed;
    use levada_log::vfs::{Open, Vfs as _};

    use super::*;

    #[test]
    fn power_cut_keeps_what_was_picked_in_the_order_in_which_it_was() {
        let fs = FaultyFs::new(Seed::new(1));
        let file = fs.open(Path::new("/a"), Open::CreateNew).unwrap();
        fs.sync_dir(Path::new("/")).unwrap();
        file.write_all_at(b"aa", 0).unwrap();
        file.write_all_at(b"bb", 1).unwrap();
        fs.open(Path::new("/b"), Open::CreateNew).unwrap();
        assert_eq!(fs.unsynced(), 3);
        let kept = |kept: &[usize]| {
            let cut = fs.power_cut_keeping(kept);
            assert_eq!(cut.unsynced(), 0);
            (cut.contents("/a").unwrap(), cut.contents("/b").is_some())
        };
        assert_eq!(kept(&[]), (Vec::new(), false));
        assert_eq!(kept(&[1]), (b"\0bb".to_vec(), false));
        assert_eq!(kept(&[0, 1]), (b"abb".to_vec(), false));
        assert_eq!(kept(&[2, 1, 0]), (b"aab".to_vec(), true));
        let fired = fs.power_cut_keeping(&[1]).fired();
        assert_eq!((fired[Fault::LostWrite], fired[Fault::LostName]), (1, 1));
    }
}
