//! Figures as lines of a table, each beside its aim.

/// Begins a table.
pub fn title(text: &str) {
    println!("\n{text}");
}

/// One figure. `aim` is empty where there is none.
pub fn line(what: &str, value: String, aim: &str) {
    let aim = if aim.is_empty() { String::new() } else { format!("  (aim: {aim})") };
    println!("  {what:<58} {value:>16}{aim}");
}

/// The value below which a part of all values lies.
pub fn quantile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * part).round() as usize]
}

/// Times in seconds as a line with median, p99 and the longest.
pub fn times(what: &str, mut seconds: Vec<f64>, aim: &str) {
    let mut at = |part| quantile(&mut seconds, part) * 1e3;
    let (middle, most, longest) = (at(0.5), at(0.99), at(1.0));
    line(what, format!("{middle:.1}/{most:.1}/{longest:.1} ms"), aim);
}
