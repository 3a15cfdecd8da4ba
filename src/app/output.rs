//! Where a command writes what it was asked for: `--output`, `--trace`, tables in a folder.

use anyhow::Context as _;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The name of standard output.
const STANDARD: &str = "-";

/// What a path stands for.
enum Target {
    Standard,
    /// A file, there or not, at the end of its symbolic links. It can be replaced as a whole.
    File(PathBuf),
    /// A device, a FIFO, a socket: written to as it is.
    Stream,
}

/// Whether this is standard output. What people are told then goes to standard error.
pub fn is_standard(path: &Path) -> bool {
    path.as_os_str() == STANDARD
}

/// Whether it is a file, there or not: something that can be read again once it is written.
pub fn is_file(path: &Path) -> bool {
    matches!(Target::of(path), Ok(Target::File(_)))
}

impl Target {
    fn of(path: &Path) -> io::Result<Self> {
        if is_standard(path) {
            return Ok(Target::Standard);
        }
        let at_end = end_of_links(path)?;
        match fs::metadata(&at_end) {
            Ok(there) if there.is_dir() => Err(io::Error::from(io::ErrorKind::IsADirectory)),
            Ok(there) if there.is_file() => Ok(Target::File(at_end)),
            Ok(_) => Ok(Target::Stream),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Target::File(at_end)),
            Err(error) => Err(error),
        }
    }
}

/// What symbolic links lead to, also where nothing is there yet.
fn end_of_links(path: &Path) -> io::Result<PathBuf> {
    /// As many as the kernel follows.
    const LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        match fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("")).join(target),
            // It is no link, or not there.
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::from_raw_os_error(rustix::io::Errno::LOOP.raw_os_error()))
}

/// Writes a document: a file as a whole or not at all, with the mode that it had; through symbolic links, devices and FIFOs; for
/// `-` to standard output. `option` is what to name differently when that fails.
pub fn write(path: &Path, document: &[u8], option: &str) -> anyhow::Result<()> {
    let written = Target::of(path).and_then(|target| match target {
        Target::File(file) => replace(&file, document),
        Target::Standard => stream(io::stdout().lock(), document),
        Target::Stream => stream(File::options().write(true).open(path)?, document),
    });
    written.with_context(|| cannot(path, option))
}

/// Opens it for a document that grows while it is made. A file that is there is emptied.
pub fn create(path: &Path, option: &str) -> anyhow::Result<Box<dyn Write>> {
    let open = || -> io::Result<Box<dyn Write>> {
        Ok(match Target::of(path)? {
            Target::Standard => Box::new(io::stdout()),
            Target::File(file) => Box::new(File::create(file)?),
            Target::Stream => Box::new(File::options().write(true).open(path)?),
        })
    };
    open().with_context(|| cannot(path, option))
}

fn cannot(path: &Path, option: &str) -> String {
    format!("{}: cannot be written; name another with {option}", path.display())
}

fn stream(mut to: impl Write, document: &[u8]) -> io::Result<()> {
    to.write_all(document)?;
    to.flush()
}

/// In a folder that takes no new file, the file itself is written.
fn replace(file: &Path, document: &[u8]) -> io::Result<()> {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let growing = PathBuf::from(name);
    let new = match File::options().write(true).create_new(true).open(&growing) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && file.is_file() => {
            return stream(File::create(file)?, document);
        }
        opened => opened?,
    };
    let written = stream(&new, document).and_then(|()| match fs::metadata(file) {
        Ok(old) => new.set_permissions(old.permissions()),
        Err(_) => Ok(()),
    });
    let replaced = written.and_then(|()| fs::rename(&growing, file));
    if replaced.is_err() {
        // What is left of it is of no use to anybody.
        let _gone_already = fs::remove_file(&growing);
    }
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink};

    #[test]
    fn a_file_is_replaced_as_a_whole_and_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("page.html");
        write(&path, b"one", "--output").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let before = File::open(&path).unwrap();
        write(&path, b"two", "--output").unwrap();
        assert_eq!(
            (io::read_to_string(before).unwrap(), fs::read_to_string(&path).unwrap()),
            ("one".into(), "two".into())
        );
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn links_stay_links_also_to_what_is_not_there_yet() {
        let folder = tempfile::tempdir().unwrap();
        let (link, second) = (folder.path().join("link"), folder.path().join("second"));
        symlink("second", &link).unwrap();
        symlink("page.html", &second).unwrap();
        for text in ["one", "two"] {
            write(&link, text.as_bytes(), "--output").unwrap();
            assert_eq!(fs::read_to_string(folder.path().join("page.html")).unwrap(), text);
        }
        assert!(link.is_symlink() && second.is_symlink());
        symlink("round", folder.path().join("round")).unwrap();
        assert!(write(&folder.path().join("round"), b"x", "--output").is_err());
    }

    #[test]
    fn devices_and_fifos_are_written_to_and_stay() {
        let full = write(Path::new("/dev/full"), b"x", "--output").unwrap_err();
        assert_eq!(
            format!("{full:#}"),
            "/dev/full: cannot be written; name another with --output: No space left on device (os error 28)"
        );
        write(Path::new("/dev/null"), b"x", "--output").unwrap();
        for device in ["/dev/full", "/dev/null"] {
            assert!(fs::symlink_metadata(device).unwrap().file_type().is_char_device(), "{device}");
        }

        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
        let other = fifo.clone();
        let reader = std::thread::spawn(move || fs::read_to_string(other).unwrap());
        write(&fifo, b"through", "--output").unwrap();
        assert_eq!(reader.join().unwrap(), "through");
        assert!(fs::symlink_metadata(&fifo).unwrap().file_type().is_fifo());
    }

    #[test]
    fn a_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(format!("{:#}", write(folder.path(), b"x", "--output").unwrap_err()).contains("is a directory"));
    }
}
