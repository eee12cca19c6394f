//! The calls about the work location, which only a delegated token may make.
//!
//! Source: Graph API reference, `presence: setManualLocation`, `setAutomaticLocation`, `clearLocation`, `clearAutomaticLocation`. Their
//! text says 200 and their example 204. Inferred: that another type than the four is refused, and how.

use hyper::StatusCode;
use serde_json::Value;

use super::Graph;
use super::arguments::Arguments;
use super::error::GraphError;
use super::permission::Purpose;
use crate::entra::Access;
use crate::message::{Reply, Request};
use crate::model::{WorkLocation, WorkLocationType};
use crate::route::{LocationChange, Whose};
use presenced_core::time::Now;

impl Graph {
    /// Answers a call about a user's work location. The token has been checked.
    pub(super) fn change_location(
        &mut self,
        change: LocationChange,
        whose: &Whose,
        request: &Request,
        access: &Access,
        now: &Now,
    ) -> Result<Reply, GraphError> {
        let (action, known): (_, &[&str]) = match change {
            LocationChange::SetManual => ("setManualLocation", &["workLocationType", "placeId"]),
            LocationChange::SetAutomatic => ("setAutomaticLocation", &["workLocationType", "placeId"]),
            LocationChange::Clear => ("clearLocation", &[]),
            LocationChange::ClearAutomatic => ("clearAutomaticLocation", &[]),
        };
        let arguments = Arguments::read(request, action, known)?;
        let place = self.permit(Purpose::WriteLocation, whose, access)?.place;
        let set = if known.is_empty() { None } else { Some(location(&arguments)?) };
        self.population.change(place, now, |user| {
            user.change_locations(|locations| match change {
                LocationChange::SetManual => locations.manual = set,
                LocationChange::SetAutomatic => locations.automatic = set,
                LocationChange::Clear => (locations.manual, locations.automatic) = (None, None),
                LocationChange::ClearAutomatic => locations.automatic = None,
            });
        });
        Ok(Reply::empty(StatusCode::OK))
    }
}

fn location(arguments: &Arguments) -> Result<WorkLocation, GraphError> {
    let name = arguments.text("workLocationType")?;
    let kind: WorkLocationType = serde_json::from_value(Value::from(name)).map_err(|_| {
        GraphError::invalid_argument(format!(
            "The workLocationType '{name}' is not one of unspecified, office, remote and timeOff."
        ))
    })?;
    Ok(WorkLocation { kind, place: arguments.optional_text("placeId")?.map(ToOwned::to_owned) })
}
