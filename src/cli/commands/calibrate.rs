//! `agent calibrate`: the simulator's physics, fitted to real runs.

use crate::app::vocabulary::VOCABULARY;
use crate::app::{Failure, calibrate, output, real_runs};
use crate::cli::calibrate_arguments::Calibrate;
use crate::cli::place::{Place, services};
use crate::cli::{display, print};
use agent_core::config::scenario::{self, Scenario};
use agent_core::domain::units::show_bytes;
use agent_core::mape::prediction::Estimate;
use agent_laboratory::calibration::{Bias, Calibration, Fit, LinkFit, Record, Sample};
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

impl Place {
    pub(super) fn calibrate(&self, arguments: &Calibrate) -> anyhow::Result<ExitCode> {
        let base = arguments.scenario.as_deref().map(|path| Ok::<_, anyhow::Error>((path, read(path)?))).transpose()?;
        let runtime = services()?;
        let records = runtime.block_on(real_runs::read_all(&arguments.runs, runtime.handle()))?;
        let calibration = calibrate::calibrate(&records, base.as_ref().map(|(_, scenario)| scenario))?;
        if let Some(output) = &arguments.output {
            let name = output.file_stem().map_or("measured".into(), |stem| stem.to_string_lossy().into_owned());
            let text = match &base {
                Some((path, base)) => calibrate::over(&calibration, &name, base, &beside(output, path)?),
                None => self.own_network(arguments, &calibration, &name, &records[0])?,
            };
            output::write(output, text.as_bytes(), "--output")?;
            // What is written can be simulated, or the files around it say why not.
            if output::is_file(output) {
                read(output)?;
            }
        }
        let beside = print::beside(arguments.output.as_deref());
        if arguments.json {
            beside.json(&calibration)?
        } else {
            beside.lines(report(&calibration, arguments))?
        }
        Ok(ExitCode::SUCCESS)
    }

    fn own_network(
        &self,
        arguments: &Calibrate,
        calibration: &Calibration,
        name: &str,
        record: &Record,
    ) -> anyhow::Result<String> {
        let settings = self.settings()?;
        for stranger in calibrate::strangers(record, &settings) {
            display::note(&format!(
                "# the configuration has no agent {stranger}: it gets the first agent's weights; name the one that ran with --config"
            ));
        }
        let mut impacts = BTreeMap::new();
        for &agent in record.snapshot.agents.keys().filter(|agent| settings.agents.contains_key(agent)) {
            let directory = arguments.training.as_deref();
            match self.training(&settings, directory, agent, &self.train_again(directory, agent))? {
                Some(file) => _ = impacts.insert(agent, file.impacts),
                None => {
                    display::note(&format!("# agent {agent} has no training file: the simulator trains it"));
                }
            }
        }
        calibrate::scenario(calibration, name, record, &settings, &impacts)
    }
}

pub(super) fn read(path: &Path) -> anyhow::Result<Scenario> {
    Ok(scenario::load(path, &VOCABULARY)?)
}

/// How a scenario names the one that it builds on: by its name in the same folder, else by its whole path.
fn beside(output: &Path, base: &Path) -> anyhow::Result<String> {
    let whole = |path: &Path| std::path::absolute(path).with_context(|| path.display().to_string());
    let (output, base) = (whole(output)?, whole(base)?);
    if output == base {
        let same = "--output would replace the scenario that it builds on; name another file".to_owned();
        return Err(Failure::Configuration(same).into());
    }
    let named = if output.parent() == base.parent() { Path::new(base.file_name().unwrap_or_default()) } else { &base };
    Ok(named.to_string_lossy().into_owned())
}

fn report(calibration: &Calibration, arguments: &Calibrate) -> Vec<String> {
    let Calibration { transfer, failed_transfers, poll, probe_excess, .. } = calibration;
    let jobs = calibration.response_time.n;
    let latency = if calibration.is_emulated { "injected" } else { "as measured" };
    let mut text = vec![format!("runs             {}, {jobs} jobs; latency {latency}", calibration.runs)];
    text.extend(fit_lines("response time", &calibration.response_time));
    text.extend(fit_lines("execution time", &calibration.execution_time));
    text.push(format!("transfer         {}, {failed_transfers} failed", sample_line(transfer, "s")));
    text.push(format!("poll             {}", sample_line(poll, "s")));
    if calibration.is_emulated {
        text.push(format!("probes           {} more than injected", sample_line(probe_excess, "ms")));
    }
    text.extend(calibration.links.iter().map(link_line));
    text.push(format!("data set         {} records, {}", calibration.records, show_bytes(calibration.bytes)));
    text.extend(calibration.doubts.iter().map(|doubt| format!("DOUBTFUL: {doubt}")));
    text.extend(arguments.output.iter().map(|output| format!("scenario         {}", output.display())));
    text
}

fn fit_lines(what: &str, fit: &Fit) -> Vec<String> {
    let Fit { base, per_second_of_latency: slope, deviation, n, largest_residual, .. } = fit;
    let plus_minus = |it: &Estimate| format!("{:.3} +- {:.3}", it.mean, it.deviation);
    let r2 = fit.r2.map_or("nothing varies".to_owned(), |r2| format!("R2 {r2:.5}"));
    let nodes =
        fit.bias.iter().map(|(node, Bias { n, mean, error })| format!("node {node} {mean:+.2} +- {error:.2} s of {n}"));
    vec![
        format!(
            "{what:<16} {} s, {} s for each second of latency, deviation {deviation:.3} s",
            plus_minus(base),
            plus_minus(slope)
        ),
        format!("                 {n} jobs, {r2}, largest residual {largest_residual:+.2} s"),
        format!("                 off the line: {}", nodes.collect::<Vec<_>>().join(", ")),
    ]
}

fn sample_line(sample: &Sample, unit: &str) -> String {
    let Sample { n, mean, deviation, least, largest, .. } = sample;
    match n {
        0 => "none seen".to_owned(),
        n => format!("{mean:.2} {unit}, deviation {deviation:.2} {unit}, {least:.2} to {largest:.2} {unit}, of {n}"),
    }
}

fn link_line(link: &LinkFit) -> String {
    let LinkFit { from, to, stated_ms, stated_jitter_ms, seen } = link;
    let name = format!("link {from}-{to}");
    format!(
        "{name:<16} stated {stated_ms} +- {stated_jitter_ms} ms; seen {}",
        match seen.n {
            0 => "by no job".to_owned(),
            n => format!("{:.1} +- {:.1} ms by {n} jobs", seen.mean, seen.deviation),
        }
    )
}
