"""Cutting answers, and how the service is asked."""

import unittest

import variant  # noqa: F401
import places


class Cut(unittest.TestCase):
    def check(self, body, bound, expected):
        self.assertEqual(places.cut(body.encode(), bound).decode(), expected)

    def check_refused(self, body):
        with self.assertRaises(places.Failure, msg=body) as raised:
            places.cut(body, 20)
        self.assertIn(b'"status": "UNKNOWN_ERROR"', raised.exception.json)

    def test_an_answer_within_the_bound_is_passed_on_byte_for_byte(self):
        body = '\n{\t"z" : 1.50E+007,\r\n "results":[ 1 ,"\\u00e9é"] , "status":"OK","a":{} } \n\n'
        self.check(body, 2, body)
        self.check(body, 20, body)

    def test_what_is_not_cut_keeps_its_order_numbers_and_white_space(self):
        self.check(
            '{"z":-0.10e2, "results": [ {"b":1.0,"a":34.068930000000000001}, [2] , 3],"status":"OK","a":1E400}',
            2,
            '{"z":-0.10e2, "results": [ {"b":1.0,"a":34.068930000000000001}, [2]],"status":"OK","a":1E400}',
        )

    def test_the_bound_0_leaves_no_result(self):
        self.check('{"status":"OK","results":[ 1, 2 ]}', 0, '{"status":"OK","results":[ ]}')
        self.check('{"status":"OK","results":[]}', 0, '{"status":"OK","results":[]}')

    def test_brackets_and_quotes_in_strings_end_nothing(self):
        self.check(
            '{"results":["],}\\"", "\\\\", 3],"status":"OK","n":[{"results":[1,2,3]}]}',
            2,
            '{"results":["],}\\"", "\\\\"],"status":"OK","n":[{"results":[1,2,3]}]}',
        )

    def test_repeated_and_escaped_keys_are_kept_and_every_results_is_cut(self):
        self.check(
            '{"results":[1,2],"a":1,"a":2,"resu\\u006cts":[3,4],"status":"A","status":"B"}',
            1,
            '{"results":[1],"a":1,"a":2,"resu\\u006cts":[3],"status":"A","status":"B"}',
        )

    def test_what_is_not_an_answer_is_refused(self):
        for body in (
            b"", b"\n", b"<html>", b"[]", b"{}", b"null", b"{", b'{"results":[]}', b'{"status":"OK"}',
            b'{"results":{},"status":"OK"}', b'{"results":[],"status":1}', b'{"results":[],"status":"OK"} x',
            b'{"results":[],"status":"OK"', b'{"results":[1,],"status":"OK"}', b'{"results":[],"status":"OK",}',
            b'{"results":["\xff"],"status":"OK"}', b'{"results":[NaN],"status":"OK"}', b'{"results":[],"status":"\n"}',
            b'{"results":[],"results":1,"status":"OK"}', b"[" * (1 << 20), b'{"results":' * (1 << 18),
        ):  # fmt: skip
            self.check_refused(body)


class Asking(unittest.TestCase):
    def test_a_call_has_plain_numbers_and_no_plus(self):
        for location, radius, expected in (
            (b"+34.068930-118.445127", b"10", "location=34.06893,-118.445127&radius=10000"),
            (b"-00.5+000.25", b"0.5", "location=-0.5,0.25&radius=500"),
            (b"+90-180", b"50", "location=90,-180&radius=50000"),
            (b"-0-0.0", b"0", "location=0,0&radius=0"),
            (b"+1+1", b"0.0000000000001", "location=1,1&radius=0"),
        ):
            query = places.query(location, radius, "a+b/c%&=")
            self.assertEqual(query, f"/maps/api/place/nearbysearch/json?{expected}&key=a%2Bb%2Fc%25%26%3D")

    def test_a_failure_has_googles_shape(self):
        self.assertEqual(
            places.Failure("OVER_QUERY_LIMIT", 'a "b"').json,
            b'{"html_attributions": [], "results": [], "status": "OVER_QUERY_LIMIT", "error_message": "a \\"b\\""}',
        )


if __name__ == "__main__":
    unittest.main()
