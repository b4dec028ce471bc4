//! A log that grows, read as it does, through all changes of its files.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::read::{ReadLogError, Record, Records};
use super::{FILES, file};

/// Reads the records that come. When to look again is its user's affair.
#[derive(Debug)]
pub struct Follower {
    folder: PathBuf,
    current: Option<Records>,
}

impl Follower {
    /// Begins with the oldest record.
    pub fn new(folder: &Path) -> Follower {
        Follower {
            folder: folder.to_owned(),
            current: None,
        }
    }

    /// The next record that is there.
    ///
    /// # Errors
    /// [`ReadLogError`].
    pub fn next_record(&mut self) -> Result<Option<Record>, ReadLogError> {
        loop {
            let Some(current) = &mut self.current else {
                self.current = self.oldest_from(FILES - 1)?;
                if self.current.is_none() {
                    return Ok(None);
                }
                continue;
            };
            if let Some(record) = current.next_record()? {
                return Ok(Some(record));
            }
            let Some(age) = self.age() else {
                // It has become so old that it is gone.
                self.current = None;
                continue;
            };
            if age == 0 {
                return Ok(None);
            }
            // It became an older one since, so that all that it will ever have is there; and maybe was not at the first look.
            let current = self.current.as_mut().expect("it was there just now");
            if let Some(record) = current.next_record()? {
                return Ok(Some(record));
            }
            match self.oldest_from(age - 1)? {
                Some(next) => self.current = Some(next),
                // The new file is about to be made.
                None => return Ok(None),
            }
        }
    }

    fn oldest_from(&self, age: usize) -> Result<Option<Records>, ReadLogError> {
        for age in (0..=age).rev() {
            if let Some(records) = Records::open(file(&self.folder, age))? {
                return Ok(Some(records));
            }
        }
        Ok(None)
    }

    /// Which of the files it is that is being read.
    fn age(&self) -> Option<usize> {
        let current = self.current.as_ref()?;
        let ours = current.file.get_ref().metadata().ok()?.ino();
        let is_ours =
            |age: &usize| fs::metadata(file(&self.folder, *age)).is_ok_and(|at| at.ino() == ours);
        (0..FILES).find(is_ours)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{LogWriter, Stream};
    use super::*;

    #[test]
    fn what_comes_is_followed_through_changes_of_files() {
        let folder = tempfile::tempdir().unwrap();
        let mut follower = Follower::new(folder.path());
        assert_eq!(follower.next_record().unwrap(), None);
        let mut writer = LogWriter::new(folder.path());
        writer.set_limit(1);
        let mut number = 0;
        for at_once in [1, 2, 1, 2] {
            for count in 0..at_once {
                writer.write(number + count, Stream::Out, b"x").unwrap();
            }
            for _ in 0..at_once {
                assert_eq!(follower.next_record().unwrap().unwrap().at_ms, number);
                number += 1;
            }
            assert_eq!(follower.next_record().unwrap(), None);
        }
    }

    #[test]
    fn who_is_too_slow_goes_on_with_what_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = LogWriter::new(folder.path());
        writer.set_limit(1);
        writer.write(0, Stream::Out, b"x").unwrap();
        let mut follower = Follower::new(folder.path());
        assert_eq!(follower.next_record().unwrap().unwrap().at_ms, 0);
        (1..9).for_each(|number| writer.write(number, Stream::Out, b"x").unwrap());
        assert_eq!(follower.next_record().unwrap().unwrap().at_ms, 6);
    }
}
