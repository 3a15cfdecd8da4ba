//! The members of the network.

use crate::api::Shared;
use crate::api::extract::{Json, Query};
use crate::api::listing::{Listing, Page};
use crate::api::problem::{ErrorCode, Problem};
use crate::api::wire::{Member, MembershipChange, MembershipTuned};
use crate::membership;
use agent_membership::{MAX_FAN_OUT, Tuning};
use axum::extract::State;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

/// By the clock.
const INTERVAL_S: RangeInclusive<f64> = 0.05..=3600.0;

/// All members of the network, as the nodes of this process's agents see them now; none where it runs none, or `[membership]` is
/// off.
#[utoipa::path(get, path = "/members", operation_id = "list_members", tag = "network", params(Listing),
    responses((status = OK, body = Page<Member>)))]
pub async fn list(State(api): Shared, Query(listing): Query<Listing>) -> Result<axum::Json<Page<Member>>, Problem> {
    let mut all: BTreeMap<(u32, u32), Member> = BTreeMap::new();
    for (agent, view) in api.surroundings.switchboard.members() {
        for seen in &view.members {
            all.insert((agent.0, seen.record.record().node.0), Member::new(agent.0, seen));
        }
    }
    Ok(axum::Json(listing.of(all)?))
}

/// How the nodes of this process's agents talk to their peers, from now on and until they end; what is not named stays.
#[utoipa::path(patch, path = "/membership", operation_id = "tune_membership", tag = "network", request_body = MembershipChange,
    responses((status = OK, body = MembershipTuned)))]
pub async fn tune(
    State(api): Shared,
    Json(wanted): Json<MembershipChange>,
) -> Result<axum::Json<MembershipTuned>, Problem> {
    let invalid = |what: String| Problem::new(ErrorCode::Invalid, what);
    let interval = match wanted.interval_s {
        None => None,
        Some(seconds) if INTERVAL_S.contains(&seconds) => Some(Duration::from_secs_f64(seconds)),
        Some(seconds) => return Err(invalid(format!("interval_s: {seconds} is not within 0.05 and 3600"))),
    };
    if let Some(fan_out) = wanted.fan_out.filter(|fan_out| !(1..=MAX_FAN_OUT).contains(fan_out)) {
        return Err(invalid(format!("fan_out: {fan_out} is not within 1 and {MAX_FAN_OUT}")));
    }
    let usual = || membership::interval(&api.surroundings.network().membership, api.surroundings.clock.as_ref());
    let adapts = |adapts: bool| adapts.then(|| membership::adapt(interval.unwrap_or_else(usual)));
    let tuning = Tuning { interval, fan_out: wanted.fan_out, adapt: wanted.adapt.map(adapts) };
    Ok(axum::Json(MembershipTuned { members: api.surroundings.switchboard.tune(tuning) }))
}
