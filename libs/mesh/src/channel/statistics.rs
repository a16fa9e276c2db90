//! Which replicas answer worse than they should: the two rules of gRFC A50 over
//! the calls of one interval.

use crate::config::OutlierConfig;

/// The calls of one replica.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub good: u32,
    pub bad: u32,
}

impl Sample {
    const fn calls(self) -> u32 {
        self.good.saturating_add(self.bad)
    }

    /// Which part of its calls ended well, of 1.
    fn success(self) -> f64 {
        f64::from(self.good) / f64::from(self.calls().max(1))
    }
}

/// The places of those that are to be taken out, by the rate of success first.
pub(super) fn outliers(config: &OutlierConfig, samples: &[Sample]) -> Vec<usize> {
    let mut found = by_success_rate(config, samples);
    for place in by_failure_percentage(config, samples) {
        if !found.contains(&place) {
            found.push(place);
        }
    }
    found
}

/// The places and samples with enough calls; none where they are too few.
fn heard(samples: &[Sample], calls: u32, hosts: u32) -> Vec<(usize, Sample)> {
    let enough = |(_, sample): &(usize, Sample)| sample.calls() >= calls;
    let heard: Vec<_> = samples.iter().copied().enumerate().filter(enough).collect();
    if u32::try_from(heard.len()).is_ok_and(|heard| heard < hosts) { Vec::new() } else { heard }
}

fn by_success_rate(config: &OutlierConfig, samples: &[Sample]) -> Vec<usize> {
    let (calls, hosts) = (config.success_rate_request_volume, config.success_rate_minimum_hosts);
    let heard = heard(samples, calls, hosts);
    if config.success_rate_stdev_factor == 0 || heard.is_empty() {
        return Vec::new();
    }
    let number = f64::from(u32::try_from(heard.len()).unwrap_or(u32::MAX));
    let mean = heard.iter().map(|(_, sample)| sample.success()).sum::<f64>() / number;
    let squares = heard.iter().map(|(_, sample)| (sample.success() - mean).powi(2));
    let deviation = (squares.sum::<f64>() / number).sqrt();
    let least = mean - deviation * f64::from(config.success_rate_stdev_factor) / 1000.0;
    heard.into_iter().filter(|(_, s)| s.success() < least).map(|(place, _)| place).collect()
}

fn by_failure_percentage(config: &OutlierConfig, samples: &[Sample]) -> Vec<usize> {
    let calls = config.failure_percentage_request_volume;
    let heard = heard(samples, calls, config.failure_percentage_minimum_hosts);
    let most = f64::from(config.failure_percentage_threshold);
    let fails = |(_, sample): &(usize, Sample)| 100.0 * (1.0 - sample.success()) > most;
    heard.into_iter().filter(fails).map(|(place, _)| place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(counts: &[(u32, u32)]) -> Vec<Sample> {
        counts.iter().map(|&(good, bad)| Sample { good, bad }).collect()
    }

    #[test]
    fn who_fails_too_often_is_out_where_enough_was_asked_of_enough() {
        let config = OutlierConfig::default();
        let found = |counts| outliers(&config, &samples(counts));
        assert_eq!(found(&[(10, 0), (3, 7), (10, 1)]), [1]);
        assert_eq!(found(&[(10, 0), (4, 6)]), [0; 0], "60 of 100 are not more than 60");
        assert_eq!(found(&[(10, 0), (0, 4)]), [0; 0], "too few calls");
        assert_eq!(found(&[(0, 0), (0, 100)]), [0; 0], "nobody to compare it with");
    }

    #[test]
    fn who_lies_far_below_the_mean_is_out() {
        let config = OutlierConfig { failure_percentage_threshold: 100, ..Default::default() };
        let mut counts = vec![(100, 0); 9];
        counts.push((70, 30));
        assert_eq!(outliers(&config, &samples(&counts)), [9]);
        counts.truncate(4);
        counts.push((70, 29));
        assert_eq!(outliers(&config, &samples(&counts)), [0; 0], "too few have had enough calls");
        assert_eq!(outliers(&config, &samples(&[(100, 0); 10])), [0; 0]);
    }
}
