use agent::config::Vocabulary;
use agent::config::scenario;
use agent::domain::time::Timestamp;
use agent::sim::{Options, Told, run};
use std::path::Path;
use std::time::Duration;
const VOCABULARY: Vocabulary = Vocabulary { policies: &["fixed", "reference"], expression: |_| Ok(()) };
#[test]
fn debug() {
    let name = std::env::var("SC").unwrap_or("published".into());
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/scenarios/{name}.toml"));
    let scenario = scenario::load(&file, &VOCABULARY).unwrap();
    let seed: u64 = std::env::var("SEED").unwrap_or("1".into()).parse().unwrap();
    let secs: u64 = std::env::var("SECS").unwrap_or("700".into()).parse().unwrap();
    let options = Options { policy: Some("reference".to_owned()), seed, lasts: Duration::from_secs(secs) };
    let mut tell = |at: Timestamp, told: &Told| match told {
        Told::Notice(n) => println!("{:9.3} {n}", at.0 as f64 / 1e3),
        Told::World(w) => println!("{:9.3} {w}", at.0 as f64 / 1e3),
    };
    run(&scenario, &options, Some(&mut tell), |_| {}).unwrap();
}
