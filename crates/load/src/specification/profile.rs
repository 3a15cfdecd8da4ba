//! A profile in a file of its own, for whatever comes over time.

use super::check::text_of;
use super::written::GUIDE;
use agent_arrivals::Profile;
use agent_core::config::{ConfigError, Problems, parse_by};
use std::path::Path;

/// Reads `ticks = [2, 6]` and `interval = "10 s"`, or another form of a profile.
///
/// # Errors
/// The file cannot be read, or the first thing that is wrong with it.
pub fn load_profile(path: &Path) -> Result<Profile, ConfigError> {
    let text = text_of(path, "a profile")?;
    let mut problems = Problems::default();
    problems.enter(&path.display().to_string());
    let profile = parse_by(&text, &GUIDE).map_err(|(place, invalid)| problems.add(place, invalid)).ok();
    problems.settle(profile)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn check(text: &str, expected: Result<f64, &str>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profile.toml");
        fs::write(&path, text).unwrap();
        let read = load_profile(&path).map(|profile| profile.tick(1).unwrap()).map_err(|error| error.to_string());
        match expected {
            Ok(rate) => assert_eq!(read, Ok(rate), "{text}"),
            Err(part) => assert!(read.clone().is_err_and(|error| error.contains(part)), "{text}: {read:?}"),
        }
    }

    #[test]
    fn a_file_holds_a_profile_alone() {
        check("ticks = [2, 6]\ninterval = \"10 s\"", Ok(6.0));
        check("shape = \"steady 5\"\ninterval = \"2 s\"\nover = \"1 min\"", Ok(2.5));
        check("ticks = [2, -6]\ninterval = \"10 s\"", Err("-6"));
        check("tocks = [2, 6]", Err("tocks"));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = load_profile(Path::new("nowhere/profile.toml")).unwrap_err().to_string();
        assert!(error.contains("nowhere/profile.toml") && error.contains("cannot be read"), "{error}");
    }
}
