//! Nearest places on the sphere.
//!
//! A location is a point on the unit sphere in space, so that the date line and the poles are
//! places like any other. The straight chord between two points grows with the great circle
//! between them: `chord = 2 sin(distance / 2 radius)`, so nearest by the one is nearest by the
//! other, and a radius in kilometers is one chord all over the earth.

use std::f64::consts::FRAC_PI_2;
use std::num::NonZero;

use kiddo::{ImmutableKdTree, SquaredEuclidean};

use crate::protocol::{Coordinates, Kilometers};

/// Mean radius of the earth (IUGG), in kilometers.
const EARTH_RADIUS_KM: f64 = 6371.0088;

/// Finds points by their index in the order that they were given in.
#[derive(Debug)]
pub(super) struct Nearest {
    tree: ImmutableKdTree<f64, 3>,
}

impl Nearest {
    pub(super) fn new(points: impl Iterator<Item = Coordinates>) -> Self {
        let vectors: Vec<_> = points.map(on_sphere).collect();
        let tree = ImmutableKdTree::new_from_slice(&vectors).expect("sines are finite");
        Self { tree }
    }

    /// At most `bound` points within the radius (inclusive), the nearest first; of two as near,
    /// the one with the lower index.
    pub(super) fn find(&self, center: &Coordinates, radius: Kilometers, bound: u8) -> Vec<usize> {
        let center = on_sphere(*center);
        let within = chord_squared(radius);
        let bound = usize::from(bound);
        let mut asked = bound + 1;
        // One more than wanted tells whether a tie is cut at the bound; if so, all of it is needed.
        let mut found = loop {
            let most = NonZero::new(asked).expect("at least one is asked for");
            let found = self
                .tree
                .query(&center)
                .nearest_n::<SquaredEuclidean<f64>>(most)
                .within(within)
                .execute();
            let is_tie_cut = bound > 0
                && found.len() == asked
                && found[asked - 1].distance == found[bound - 1].distance;
            if !is_tie_cut {
                break found;
            }
            asked *= 2;
        };
        found.sort_unstable_by(|a, b| a.distance.total_cmp(&b.distance).then(a.item.cmp(&b.item)));
        found.truncate(bound);
        found.into_iter().map(|point| point.item as usize).collect()
    }
}

fn on_sphere(point: Coordinates) -> [f64; 3] {
    let (z, from_axis) = match point.latitude {
        90.0 => (1.0, 0.0),
        -90.0 => (-1.0, 0.0),
        latitude => latitude.to_radians().sin_cos(),
    };
    // The two names of the date line are one meridian, to the last bit.
    let longitude = if point.longitude == -180.0 { 180.0 } else { point.longitude };
    let (y, x) = longitude.to_radians().sin_cos();
    [from_axis * x, from_axis * y, z]
}

fn chord_squared(distance: Kilometers) -> f64 {
    let half_angle = (distance.0 / EARTH_RADIUS_KM / 2.0).min(FRAC_PI_2);
    (2.0 * half_angle.sin()).powi(2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(latitude: f64, longitude: f64) -> Coordinates {
        Coordinates { latitude, longitude }
    }

    /// The haversine formula: another way to the same distance.
    fn great_circle_km(a: &Coordinates, b: &Coordinates) -> f64 {
        let north = (b.latitude - a.latitude).to_radians() / 2.0;
        let east = (b.longitude - a.longitude).to_radians() / 2.0;
        let parallels = a.latitude.to_radians().cos() * b.latitude.to_radians().cos();
        let haversine = north.sin().powi(2) + parallels * east.sin().powi(2);
        2.0 * EARTH_RADIUS_KM * haversine.sqrt().min(1.0).asin()
    }

    /// Points crowd where the formulas are at their worst.
    fn points() -> impl Strategy<Value = Coordinates> {
        let latitude = prop_oneof![
            -90.0..=90.0,
            89.9..=90.0,
            -90.0..=-89.9,
            -0.1..=0.1,
            Just(90.0),
            Just(-90.0)
        ];
        let longitude = prop_oneof![
            -180.0..=180.0,
            179.9..=180.0,
            -180.0..=-179.9,
            -0.1..=0.1,
            Just(180.0),
            Just(-180.0)
        ];
        (latitude, longitude).prop_map(|(latitude, longitude)| at(latitude, longitude))
    }

    proptest! {
        #[test]
        fn finds_what_measuring_every_point_finds(
            points in prop::collection::vec(points(), 1..200),
            center in points(),
            radius in prop_oneof![0.0..=50.0, Just(0.0), Just(50.0), 0.0..=20_100.0],
            bound in 1_u8..=20,
        ) {
            // Closer to the radius than this (10 mm), rounding may decide.
            const MARGIN_KM: f64 = 1e-5;
            let found = Nearest::new(points.iter().copied()).find(&center, Kilometers(radius), bound);
            let distance = |index: &usize| great_circle_km(&center, &points[*index]);
            let within = |limit: f64| (0..points.len()).filter(|i| distance(i) <= limit).count();
            let bound = usize::from(bound);
            prop_assert!(found.len() >= within(radius - MARGIN_KM).min(bound));
            prop_assert!(found.len() <= within(radius + MARGIN_KM).min(bound));
            let mut all: Vec<f64> = (0..points.len()).map(|index| distance(&index)).collect();
            all.sort_unstable_by(f64::total_cmp);
            for (rank, index) in found.iter().enumerate() {
                prop_assert!((distance(index) - all[rank]).abs() <= MARGIN_KM);
                prop_assert!(!found[..rank].contains(index));
            }
        }
    }

    #[test]
    fn a_radius_holds_what_lies_a_millimeter_inside_and_not_a_millimeter_outside() {
        for center in [at(0.0, 0.0), at(34.06893, -118.445127), at(89.9, 10.0), at(-45.0, 180.0)] {
            for east in [0.01, 0.3] {
                let point = at(center.latitude, center.longitude - east);
                let distance = great_circle_km(&center, &point);
                let nearest = Nearest::new([point].into_iter());
                let is_within = |km| !nearest.find(&center, Kilometers(km), 1).is_empty();
                assert!(is_within(distance + 1e-6) && !is_within(distance - 1e-6), "{center:?}");
            }
        }
    }

    #[test]
    fn radius_0_holds_the_point_itself_under_each_of_its_names() {
        let points = [at(10.0, 180.0), at(90.0, 7.0), at(34.05223, -118.24368)];
        let nearest = Nearest::new(points.into_iter());
        for (center, expected) in [
            (at(10.0, -180.0), vec![0]),
            (at(90.0, -120.0), vec![1]),
            (at(34.05223, -118.24368), vec![2]),
            (at(34.05223, -118.24367), vec![]),
        ] {
            assert_eq!(nearest.find(&center, Kilometers(0.0), 20), expected, "{center:?}");
        }
    }

    #[test]
    fn of_points_as_near_the_first_come_first_even_where_the_bound_cuts() {
        let crowd = (0..100).map(|_| at(1.0, 1.0)).chain([at(1.0, 1.0001)]);
        let nearest = Nearest::new(crowd);
        for bound in [1, 5, 20] {
            let found = nearest.find(&at(1.0, 1.001), Kilometers(50.0), bound);
            let expected: Vec<usize> = [100].into_iter().chain(0..).take(bound.into()).collect();
            assert_eq!(found, expected);
        }
        assert!(nearest.find(&at(1.0, 1.0), Kilometers(50.0), 0).is_empty());
    }
}
