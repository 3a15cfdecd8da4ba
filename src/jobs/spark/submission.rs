//! What `spark-submit` is told: arguments that anybody may read, and properties in a file that only this user can.

use crate::jobs::DataSource;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The property by which a run knows its own application again, among those of everybody.
pub const MARK: &str = "spark.agent.run";

/// An application as its user would submit it.
#[derive(Clone, PartialEq, Debug)]
pub struct Submission {
    /// A Python file, or a JAR.
    pub application: String,
    pub arguments: Vec<String>,
    /// Of a JAR whose manifest names none.
    pub main_class: Option<String>,
    /// `local[2]`, `spark://host:7077`, ...
    pub master: String,
    /// Spark properties; they count for more than what is filled in about the data.
    pub conf: BTreeMap<String, String>,
}

/// Where Spark writes its event log.
#[derive(Clone, PartialEq, Debug)]
pub enum EventLog {
    /// A directory of this run's own, to be read when it has ended.
    Own(PathBuf),
    /// A URL or path of the user's, from which a History Server reads.
    Shared(String),
    /// Where the user's Spark configuration says.
    AsConfigured,
}

impl Submission {
    /// The command line: nothing in it is a secret.
    pub fn arguments(&self, properties: &Path) -> Vec<String> {
        let properties = properties.display().to_string();
        let mut arguments =
            vec!["--master".to_owned(), self.master.clone(), "--properties-file".to_owned(), properties];
        arguments.extend(self.main_class.iter().flat_map(|class| ["--class".to_owned(), class.clone()]));
        arguments.push(self.application.clone());
        arguments.extend(self.arguments.iter().cloned());
        arguments
    }

    /// The text of the properties file. Of a property that is written twice, Spark takes the last: what the machine's own
    /// `defaults` say counts least, what this program depends on counts most.
    pub fn properties(
        &self,
        defaults: &str,
        sources: &[DataSource],
        environment: &[(&str, String)],
        log: &EventLog,
        mark: &str,
    ) -> String {
        let mut text = format!("{defaults}\n\n");
        // It knows one endpoint. Of several data sets the application finds all in its environment.
        for (name, value) in sources.first().map(s3a).unwrap_or_default() {
            write_property(&mut text, &format!("spark.hadoop.fs.s3a.{name}"), &value);
        }
        // Executors do not inherit the environment of the driver.
        for (variable, value) in environment {
            write_property(&mut text, &format!("spark.executorEnv.{variable}"), value);
        }
        self.conf.iter().for_each(|(name, value)| write_property(&mut text, name, value));
        for (name, value) in log.properties() {
            write_property(&mut text, name, &value);
        }
        write_property(&mut text, MARK, mark);
        text
    }
}

impl EventLog {
    fn properties(&self) -> Vec<(&'static str, String)> {
        let into =
            |directory: String| vec![("spark.eventLog.enabled", "true".to_owned()), ("spark.eventLog.dir", directory)];
        match self {
            EventLog::Own(directory) => {
                let plain =
                    ["spark.eventLog.compress", "spark.eventLog.rolling.enabled"].map(|how| (how, "false".to_owned()));
                into(file_url(directory)).into_iter().chain(plain).collect()
            }
            EventLog::Shared(directory) => into(directory.clone()),
            EventLog::AsConfigured => Vec::new(),
        }
    }
}

/// How Hadoop's S3A reaches the data, by the end of the property's name.
fn s3a(source: &DataSource) -> Vec<(&'static str, String)> {
    let access = &source.access;
    let mut properties = vec![
        ("endpoint", access.endpoint.clone()),
        ("endpoint.region", access.region.clone()),
        ("path.style.access", "true".to_owned()),
        ("connection.ssl.enabled", access.endpoint.starts_with("https://").to_string()),
        ("access.key", access.access_key_id.clone()),
        ("secret.key", access.secret_access_key.clone()),
    ];
    properties.extend(access.session_token.iter().map(|token| ("session.token", token.clone())));
    properties
}

/// A line as Java reads properties.
fn write_property(text: &mut String, name: &str, value: &str) {
    let escaped = |text: &str| {
        let escape = |character: char| match character {
            '\\' => "\\\\".to_owned(),
            '\n' => "\\n".to_owned(),
            '\r' => "\\r".to_owned(),
            '\t' => "\\t".to_owned(),
            ' ' | ':' | '=' | '#' | '!' => format!("\\{character}"),
            other => other.to_string(),
        };
        text.chars().map(escape).collect::<String>()
    };
    // Writing to a `String` cannot fail.
    let _written = writeln!(text, "{}={}", escaped(name), escaped(value));
}

/// `file:///...`, with everything percent-encoded that is not plain in a path.
pub fn file_url(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    let mut url = "file://".to_owned();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => url.push(char::from(*byte)),
            other => _ = write!(url, "%{other:02X}"),
        }
    }
    url
}

/// The directory on this machine that a user's event log directory is, if it is one: `file:/var/log/spark`, `/var/log/spark`.
pub fn local_directory(written: &str) -> Option<PathBuf> {
    let path = match written.strip_prefix("file:") {
        Some(path) => path.strip_prefix("//").unwrap_or(path),
        None => written,
    };
    (path.starts_with('/') && !path.contains('%')).then(|| PathBuf::from(path))
}

/// Where this machine has its Spark, as its environment says.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Installation {
    /// `PATH`
    pub path: OsString,
    /// `SPARK_HOME`
    pub home: Option<PathBuf>,
    /// `SPARK_CONF_DIR`
    pub conf_dir: Option<PathBuf>,
}

impl Installation {
    /// A program that is on the `PATH`, or else in Spark's home; a path is one already. What is nowhere stays as it is.
    pub fn program(&self, name: &str) -> PathBuf {
        if name.contains('/') {
            return PathBuf::from(name);
        }
        let folders = std::env::split_paths(&self.path).chain(self.home.iter().map(|home| home.join("bin")));
        folders.map(|folder| folder.join(name)).find(|file| file.is_file()).unwrap_or_else(|| PathBuf::from(name))
    }

    /// Where `spark-submit` looks for its defaults, which it does not do when it is given a properties file.
    pub fn defaults_file(&self, program: &Path) -> Option<PathBuf> {
        let in_home = || self.home.as_ref().map(|home| home.join("conf"));
        let beside = || Some(program.canonicalize().ok()?.parent()?.parent()?.join("conf"));
        let folder = self.conf_dir.clone().or_else(in_home).or_else(beside)?;
        Some(folder.join("spark-defaults.conf")).filter(|file| file.is_file())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_twice_counts_as_the_last_one_says() {
        let submission = Submission {
            application: "average.py".to_owned(),
            arguments: vec!["cholesterol".to_owned()],
            main_class: None,
            master: "local[2]".to_owned(),
            conf: BTreeMap::from([("spark.hadoop.fs.s3a.endpoint".to_owned(), "http://own:1".to_owned())]),
        };
        let source = crate::jobs::doubles::source();
        let environment = [("AGENT_KEY", "all of #1\\2 = \"é\"\n".to_owned())];
        let own = EventLog::Own(PathBuf::from("/data/with blank/é"));
        let text = submission.properties("spark.executor.memory 1g\\", &[source], &environment, &own, "a1-7");
        let expected = [
            "spark.executor.memory 1g\\",
            "",
            "spark.hadoop.fs.s3a.endpoint=http\\://in-memory",
            "spark.hadoop.fs.s3a.endpoint.region=us-east-1",
            "spark.hadoop.fs.s3a.path.style.access=true",
            "spark.hadoop.fs.s3a.connection.ssl.enabled=false",
            "spark.hadoop.fs.s3a.access.key=id",
            "spark.hadoop.fs.s3a.secret.key=secret",
            "spark.hadoop.fs.s3a.session.token=token",
            "spark.executorEnv.AGENT_KEY=all\\ of\\ \\#1\\\\2\\ \\=\\ \"é\"\\n",
            "spark.hadoop.fs.s3a.endpoint=http\\://own\\:1",
            "spark.eventLog.enabled=true",
            "spark.eventLog.dir=file\\:///data/with%20blank/%C3%A9",
            "spark.eventLog.compress=false",
            "spark.eventLog.rolling.enabled=false",
            "spark.agent.run=a1-7",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
        let arguments = submission.arguments(Path::new("/data/run.properties"));
        assert_eq!(
            arguments,
            ["--master", "local[2]", "--properties-file", "/data/run.properties", "average.py", "cholesterol"]
        );
        assert!(!arguments.concat().contains("secret"));
    }

    #[test]
    fn only_directories_of_this_machine_are_read_here() {
        let local = |written: &str| local_directory(written).map(|path| path.display().to_string());
        for written in ["/var/log/spark", "file:/var/log/spark", "file:///var/log/spark"] {
            assert_eq!(local(written).as_deref(), Some("/var/log/spark"), "{written}");
        }
        for elsewhere in ["hdfs://host/logs", "s3a://bucket/logs", "logs", "file://host/logs", "file:///a%20b"] {
            assert_eq!(local(elsewhere), None, "{elsewhere}");
        }
    }

    #[test]
    fn spark_is_found_on_the_path_or_in_its_home() {
        let place = tempfile::tempdir().unwrap();
        let file = |path: &str| {
            let file = place.path().join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, "").unwrap();
            file
        };
        let (home, on_path) = (file("home/bin/spark-submit"), file("bin/spark-submit"));
        let folder = |name: &str| Some(place.path().join(name));
        let both = Installation { path: place.path().join("bin").into(), home: folder("home"), conf_dir: None };
        let home_alone = Installation { path: "/no/such".into(), ..both.clone() };
        let neither = Installation::default();
        assert_eq!(both.program("spark-submit"), on_path);
        assert_eq!(home_alone.program("spark-submit"), home);
        assert_eq!(neither.program("spark-submit"), Path::new("spark-submit"));
        assert_eq!(both.program("./spark-submit"), Path::new("./spark-submit"));

        assert_eq!(both.defaults_file(&home), None);
        let defaults = file("home/conf/spark-defaults.conf");
        assert_eq!(neither.defaults_file(&home), Some(defaults.clone()));
        assert_eq!(both.defaults_file(&on_path), Some(defaults.clone()));
        let elsewhere = Installation { conf_dir: folder("home/conf"), ..neither };
        assert_eq!(elsewhere.defaults_file(&on_path), Some(defaults));
    }
}
