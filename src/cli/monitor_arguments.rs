//! What can be written about the two small protocols of docs/monitoring-protocols.md.

use agent_aggregator::mdsmp::{self, Metric};
use agent_aggregator::{HostName, udsmp};
use clap::{ArgAction, Args, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A day: who is slower than that is not watched.
const SECONDS_MAX: f64 = 86_400.0;
/// A share of the CPU is one of some time.
const FREQUENCY_MIN_S: f64 = 0.25;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent aggregator
  agent aggregator -i lo -O 9400 -p 6400 -v
  agent aggregator --http 127.0.0.1:8088       curl http://127.0.0.1:8088/emitters
  agent aggregator --compatible                as the known implementation answers

docs/monitoring-protocols.md has both protocols to the byte.")]
pub struct Aggregator {
    /// The network interface by which measurements come [default: the system's choice]
    #[arg(short, long, value_name = "IFACE")]
    pub interface: Option<String>,
    /// The UDP port that measurements are sent to
    #[arg(short = 'O', long, value_name = "PORT", default_value_t = mdsmp::PORT)]
    pub metrics_port: u16,
    /// The UDP port where readers ask
    #[arg(short = 'p', long, value_name = "PORT", default_value_t = udsmp::PORT)]
    pub server_port: u16,
    /// Also serve what is known over HTTP, as JSON and for Prometheus, to whoever can connect [default: not]
    #[arg(long, value_name = "ADDRESS")]
    pub http: Option<SocketAddr>,
    /// Read verbs in any case, and answer `[CPU: 30.0]`
    #[arg(long)]
    pub compatible: bool,
    /// Forget what was silent for so long
    #[arg(long, value_name = "S", default_value = "60", value_parser = frequency)]
    pub expire: Duration,
    #[command(flatten)]
    pub verbosity: Verbosity,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent node -m cpu
  agent node -m ram -H Node_1 -i eth0 --frequency 10
  agent node -m cpu -m ram -m dsk -i lo --disk /var/lib/agent -vv")]
pub struct Emit {
    /// What is sent: CPU [%], memory in use [MB], disk in use [MB]; may be repeated
    #[arg(short, long = "metric", value_enum, required = true, value_name = "METRIC")]
    pub metrics: Vec<Measured>,
    /// How this machine is called [default: as it calls itself]
    #[arg(short = 'H', long)]
    pub host: Option<HostName>,
    /// The network interface by which it is sent [default: the system's choice]
    #[arg(short, long, value_name = "IFACE")]
    pub interface: Option<String>,
    /// The UDP port that it is sent to
    #[arg(short, long, default_value_t = mdsmp::PORT)]
    pub port: u16,
    /// Seconds before the first
    #[arg(long, value_name = "S", default_value = "0", value_parser = delay)]
    pub delay: Duration,
    /// Seconds between two
    #[arg(long, value_name = "S", default_value = "5", value_parser = frequency)]
    pub frequency: Duration,
    /// How many networks it may reach: 1 is this one
    #[arg(long, default_value_t = 1)]
    pub ttl: u8,
    /// A path on the disk that is measured
    #[arg(long, value_name = "PATH", default_value = "/")]
    pub disk: PathBuf,
    #[command(flatten)]
    pub verbosity: Verbosity,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent reader
  agent reader -H monitor.example.org -p 6400
  agent reader --emitters
  agent reader --emitter Node_1 --json

Exit code 1: --emitters or --emitter was not answered.")]
pub struct Reader {
    /// Where the aggregator is: an address or a name
    #[arg(short = 'H', long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub host: String,
    /// Its UDP port
    #[arg(short, long, default_value_t = udsmp::PORT)]
    pub port: u16,
    /// Print the names of all emitters, instead of the menu
    #[arg(long, group = "asked")]
    pub emitters: bool,
    /// Print the newest values of this emitter, instead of the menu
    #[arg(long, value_name = "NAME", group = "asked")]
    pub emitter: Option<HostName>,
    /// Print one JSON document and nothing else
    #[arg(long, requires = "asked")]
    pub json: bool,
    #[command(flatten)]
    pub verbosity: Verbosity,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Measured {
    Cpu,
    Ram,
    Dsk,
}

impl From<Measured> for Metric {
    fn from(measured: Measured) -> Self {
        match measured {
            Measured::Cpu => Self::Cpu,
            Measured::Ram => Self::Ram,
            Measured::Dsk => Self::Dsk,
        }
    }
}

#[derive(Args, Clone, Copy, Debug)]
pub struct Verbosity {
    /// Tell on standard error what is refused (-v), and every datagram (-vv)
    #[arg(short, long, action = ArgAction::Count)]
    verbose: u8,
}

impl Verbosity {
    /// What is told where `AGENT_LOG` says nothing.
    pub fn filter(self) -> Option<&'static str> {
        match self.verbose {
            0 => None,
            1 => Some("warn,agent_aggregator=info"),
            _ => Some("warn,agent_aggregator=debug"),
        }
    }
}

fn delay(written: &str) -> Result<Duration, String> {
    seconds(written, 0.0)
}

fn frequency(written: &str) -> Result<Duration, String> {
    seconds(written, FREQUENCY_MIN_S)
}

/// A number of seconds; `5s` is one too.
fn seconds(written: &str, least: f64) -> Result<Duration, String> {
    let number = written.strip_suffix('s').unwrap_or(written).trim_end();
    match number.parse::<f64>() {
        Ok(seconds) if (least..=SECONDS_MAX).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        Ok(_) | Err(_) => Err(format!("write seconds from {least} to {SECONDS_MAX}, such as 5")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_within_bounds() {
        let check = |written: &str, expected: Result<u64, ()>| {
            assert_eq!(frequency(written).map(|read| read.as_millis() as u64).map_err(|_| ()), expected, "{written}");
        };
        check("5", Ok(5000));
        check("0.25", Ok(250));
        check("2.5s", Ok(2500));
        for written in ["0", "0.2", "-1", "NaN", "inf", "86401", "", "5m"] {
            check(written, Err(()));
        }
        assert_eq!(delay("0"), Ok(Duration::ZERO));
    }
}
