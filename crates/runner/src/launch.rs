//! What is started.

use crate::RunnerError;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Debug, Formatter};
use std::path::PathBuf;

/// A task: one program or container.
#[derive(Clone, PartialEq)]
pub struct Launch {
    /// Unique for ever, of `[a-z0-9-]`, at most 60 characters: its control group, scope or container is called so.
    pub name: String,
    /// The program, a path or a name to be found on the `PATH`, and its arguments. Of a container it may be empty: then it is
    /// the image's own.
    pub command: Vec<String>,
    /// Of a container.
    pub image: Option<String>,
    /// May hold secrets: it stands in no command line, and is not shown.
    pub environment: BTreeMap<String, String>,
    /// It exists, and the program works there; a container has it as `/work`, and works there.
    pub directory: PathBuf,
    /// Gets both outputs, up to [`OUTPUT_MAX_BYTES`](crate::OUTPUT_MAX_BYTES).
    pub output: PathBuf,
    /// Ids; empty: any.
    pub cores: Vec<u32>,
    pub memory_bytes: Option<u64>,
    /// How many processes and threads.
    pub pids: Option<u32>,
    /// These three are of containers.
    pub ports: Vec<Port>,
    pub volumes: Vec<Volume>,
    pub network: Option<String>,
}

/// A container's port on the host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Port {
    pub container: u16,
    /// `None`: the engine chooses.
    pub host: Option<u16>,
    pub protocol: Protocol,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    Tcp,
    Udp,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Volume {
    /// A path on the host, or a volume's name.
    pub source: String,
    /// Where the container has it: an absolute path.
    pub target: String,
    pub read_only: bool,
}

const NAME_MAX: usize = 60;

impl Launch {
    /// What holds for every runner; `present` are the cores that there are for tasks.
    pub(crate) fn check(&self, present: &[u32]) -> Result<(), RunnerError> {
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.name.is_empty() || self.name.len() > NAME_MAX || !self.name.chars().all(is_name) {
            return Err(self.refused(format!("its name must be 1 to {NAME_MAX} characters of a-z, 0-9 and -")));
        }
        if !self.directory.is_dir() {
            return Err(self.refused(format!("its directory {} is not there: make it", self.directory.display())));
        }
        let is_zero = |text: &String| text.contains('\0');
        let variables = self.environment.iter().flat_map(|(name, value)| [name, value]);
        if self.command.iter().chain(variables).any(is_zero) {
            return Err(self.refused("its command and environment must not hold the character 0".to_owned()));
        }
        if let Some(name) = self.environment.keys().find(|name| name.is_empty() || name.contains('=')) {
            return Err(self.refused(format!("`{name}` is no name of a variable")));
        }
        if self.memory_bytes == Some(0) {
            return Err(RunnerError::CannotHold { limit: "memory", reason: "nothing runs in 0 bytes".to_owned() });
        }
        if self.pids == Some(0) {
            return Err(RunnerError::CannotHold { limit: "processes", reason: "it is one itself".to_owned() });
        }
        check_cores(&self.cores, present)
    }

    /// A task that does nothing, with no limits.
    #[doc(hidden)]
    pub fn example(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            command: vec!["true".to_owned()],
            image: None,
            environment: BTreeMap::new(),
            directory: std::env::temp_dir(),
            output: "/dev/null".into(),
            cores: Vec::new(),
            memory_bytes: None,
            pids: None,
            ports: Vec::new(),
            volumes: Vec::new(),
            network: None,
        }
    }

    pub(crate) fn refused(&self, reason: String) -> RunnerError {
        RunnerError::Launch { task: self.name.clone(), reason }
    }
}

pub(crate) fn check_cores(asked: &[u32], present: &[u32]) -> Result<(), RunnerError> {
    let mut seen = BTreeSet::new();
    if let Some(core) = asked.iter().find(|core| !seen.insert(**core)) {
        return Err(RunnerError::CoreListedTwice { core: *core });
    }
    let missing: Vec<u32> = seen.into_iter().filter(|core| !present.contains(core)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(RunnerError::NoSuchCores { missing: crate::cores_text(&missing), present: crate::cores_text(present) })
}

impl Debug for Launch {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        // Named one by one, so that what comes to it is not forgotten here.
        let Self {
            name,
            command,
            image,
            environment,
            directory,
            output,
            cores,
            memory_bytes,
            pids,
            ports,
            volumes,
            network,
        } = self;
        f.debug_struct("Launch")
            .field("name", name)
            .field("command", command)
            .field("image", image)
            .field("environment", &environment.keys())
            .field("directory", directory)
            .field("output", output)
            .field("cores", cores)
            .field("memory_bytes", memory_bytes)
            .field("pids", pids)
            .field("ports", ports)
            .field("volumes", volumes)
            .field("network", network)
            .finish()
    }
}
