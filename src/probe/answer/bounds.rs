//! JSON of probes held within bounds, so that one probe cannot fill memory, disk and network.

use serde_json::Value;

use super::{MAX_DETAIL, MAX_METRICS, MAX_METRICS_BYTES};
use crate::json::Json;

/// Any JSON as long as it is not too big; else its beginning as text.
pub fn detail(value: &Value, advice: &mut Vec<String>) -> Json {
    let json = Json::from_value(value);
    let size = json.as_str().len();
    if size <= MAX_DETAIL {
        return json;
    }
    advice.push(format!("{size} bytes of JSON in one field: at most {MAX_DETAIL} are kept"));
    // Written as JSON again, a character takes up to four bytes.
    let start: String = json.as_str().chars().take(MAX_DETAIL / 8).collect();
    Json::string(&format!("too big ({size} bytes, at most {MAX_DETAIL}); it began: {start}"))
}

/// The first metrics of `list`, as many as fit.
pub fn metrics(mut list: Vec<Value>, advice: &mut Vec<String>) -> Json {
    let count = list.len();
    list.truncate(MAX_METRICS);
    let mut value = Value::Array(list);
    let mut json = Json::from_value(&value);
    if json.as_str().len() > MAX_METRICS_BYTES {
        value = beginning(value);
        json = Json::from_value(&value);
    }
    let kept = value.as_array().map_or(0, Vec::len);
    if kept < count {
        advice.push(format!(
            "{count} metrics: only the first {kept} are kept (at most {MAX_METRICS}, \
             {MAX_METRICS_BYTES} bytes)"
        ));
    }
    json
}

/// The first items of a list that take at most [`MAX_METRICS_BYTES`].
fn beginning(list: Value) -> Value {
    let Value::Array(list) = list else { return list };
    let mut size = "[]".len();
    let fits = |item: &Value| {
        size += item.to_string().len() + ",".len();
        size <= MAX_METRICS_BYTES
    };
    Value::Array(list.into_iter().take_while(fits).collect())
}
