//! The image file: all metadata as of the start of a journal, replaced as a whole.
//!
//! A new image is written beside the old one, synced, and renamed over it; then the folder is
//! synced. So the file called `image` is always a whole one, and a wrong checksum in it is damage.

use std::io;

use crate::{
    Error, Result,
    envelope::{HEAD_LEN, Kind},
    error::{Failure, unsynced, unwritten},
    limits::MAX_IMAGE_BYTES,
    meta::Image,
    paths::Paths,
    vfs::{Open, Vfs, VfsFile},
};

const KIND: Kind = Kind {
    magic: *b"LVIm",
    version: 1,
    name: "an image",
    remedy: "restore the data folder from a copy",
};

/// The front of an image file, checksum included: another image has another one.
pub(crate) type Head = [u8; HEAD_LEN];

/// Opens the image; `None` if there is none.
pub(crate) fn open(vfs: &dyn Vfs, paths: &Paths) -> Result<Option<Box<dyn VfsFile>>> {
    let path = paths.image();
    match vfs.open(&path, Open::Read) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("cannot open", path, e)),
    }
}

/// Reads the head of an image alone, unchecked.
pub(crate) fn head(file: &dyn VfsFile, paths: &Paths) -> Result<Head> {
    let mut head = [0; HEAD_LEN];
    let read = file.read_exact_at(&mut head, 0);
    read.map_err(|e| Error::io("cannot read", paths.image(), e))?;
    Ok(head)
}

/// Reads the image; `None` if there is none.
pub(crate) fn read(vfs: &dyn Vfs, paths: &Paths) -> Result<Option<Image>> {
    let file = open(vfs, paths)?;
    file.map(|file| read_from(&*file, paths)).transpose()
}

/// Reads an image that is open.
pub(crate) fn read_from(file: &dyn VfsFile, paths: &Paths) -> Result<Image> {
    let path = paths.image();
    let failed = |e| Error::io("cannot read", &path, e);
    let there = file.len().map_err(failed)?;
    let len = usize::try_from(there).unwrap_or(usize::MAX);
    if !(HEAD_LEN..=MAX_IMAGE_BYTES).contains(&len) {
        return Err(Error::Unusable {
            path,
            reason: "its length is impossible".to_owned(),
            remedy: KIND.remedy,
        });
    }
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, 0).map_err(failed)?;
    Image::decode(KIND.unwrap(&bytes, &path)?, &path)
}

/// The bytes of an image's file.
pub(crate) fn bytes(image: &Image) -> Vec<u8> {
    KIND.wrap(&image.encode())
}

/// Replaces the image. When this returns `Ok`, the new one is durable under its name.
///
/// Where the folder cannot be opened to sync it, the new one has its name and may lose it again.
/// One that is too large to be read again is not written.
pub(crate) fn write(vfs: &dyn Vfs, paths: &Paths, image: &Image) -> Result<(), Failure> {
    let bytes = within(MAX_IMAGE_BYTES, bytes(image), paths)?;
    let (next, path) = (paths.next_image(), paths.image());
    match vfs.remove_file(&next) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            return Err(unwritten("cannot remove", &next, e));
        }
        Ok(()) | Err(_) => {}
    }
    let file = vfs.open(&next, Open::CreateNew);
    let file = file.map_err(|e| unwritten("cannot create", &next, e))?;
    file.write_all_at(&bytes, 0)
        .map_err(|e| unwritten("cannot write", &next, e))?;
    file.sync_data().map_err(|e| unsynced(&next, e))?;
    drop(file);
    vfs.rename(&next, &path)
        .map_err(|e| unwritten("cannot rename to", &path, e))?;
    vfs.sync_dir(paths.folder())
        .map_err(|e| unsynced(paths.folder(), e))
}

/// The bytes of an image, unless there are more than `most`.
fn within(most: usize, bytes: Vec<u8>, paths: &Paths) -> Result<Vec<u8>, Failure> {
    if bytes.len() <= most {
        return Ok(bytes);
    }
    Err(Failure::Fatal(Error::Unusable {
        path: paths.image(),
        reason: format!("the next one has {} bytes, more than {most}", bytes.len()),
        remedy: "open it with `Log::read_only`, and copy its topics to a new folder: it has more \
                 segments, groups or aborted transactions than a folder can have",
    }))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn image_that_could_not_be_read_again_is_not_written() {
        let paths = Paths::new(Path::new("data"));
        assert_eq!(within(3, vec![0; 3], &paths).unwrap(), [0; 3]);
        let refused = within(2, vec![0; 3], &paths).unwrap_err();
        assert!(matches!(refused, Failure::Fatal(Error::Unusable { .. })));
    }
}
