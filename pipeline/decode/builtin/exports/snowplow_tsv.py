"""A line of Snowplow's enriched topic: tab-separated columns in a fixed order, without a header.

The columns are those of docs.snowplow.io, Enriched TSV format: 131 since R73 (2016), fewer before. Columns
added later at the end are ignored. Numbers and booleans are read as by the analytics SDKs; the JSON columns
(``contexts``, ``derived_contexts``, ``unstruct_event``) become one field per schema, named after it:
``iglu:com.acme/PurchaseMade/jsonschema/1-0-2`` is ``unstruct_event_com_acme_purchase_made_1``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from pipeline.decode.raw import strict
from pipeline.decode.raw.fields import Fields
from pipeline.model.errors import InvalidRecord
from pipeline.model.json import Json

_COLUMNS: Final = """
app_id platform etl_tstamp:t collector_tstamp:t dvce_created_tstamp:t event event_id txn_id:i name_tracker
v_tracker v_collector v_etl user_id user_ipaddress user_fingerprint domain_userid domain_sessionidx:i
network_userid geo_country geo_region geo_city geo_zipcode geo_latitude:f geo_longitude:f geo_region_name
ip_isp ip_organization ip_domain ip_netspeed page_url page_title page_referrer page_urlscheme page_urlhost
page_urlport:i page_urlpath page_urlquery page_urlfragment refr_urlscheme refr_urlhost refr_urlport:i
refr_urlpath refr_urlquery refr_urlfragment refr_medium refr_source refr_term mkt_medium mkt_source mkt_term
mkt_content mkt_campaign contexts:c se_category se_action se_label se_property se_value:f unstruct_event:u
tr_orderid tr_affiliation tr_total:f tr_tax:f tr_shipping:f tr_city tr_state tr_country ti_orderid ti_sku
ti_name ti_category ti_price:f ti_quantity:i pp_xoffset_min:i pp_xoffset_max:i pp_yoffset_min:i
pp_yoffset_max:i useragent br_name br_family br_version br_type br_renderengine br_lang br_features_pdf:b
br_features_flash:b br_features_java:b br_features_director:b br_features_quicktime:b
br_features_realplayer:b br_features_windowsmedia:b br_features_gears:b br_features_silverlight:b
br_cookies:b br_colordepth br_viewwidth:i br_viewheight:i os_name os_family os_manufacturer os_timezone
dvce_type dvce_ismobile:b dvce_screenwidth:i dvce_screenheight:i doc_charset doc_width:i doc_height:i
tr_currency tr_total_base:f tr_tax_base:f tr_shipping_base:f ti_currency ti_price_base:f base_currency
geo_timezone mkt_clickid mkt_network etl_tags dvce_sent_tstamp:t refr_domain_userid refr_dvce_tstamp:t
derived_contexts:c domain_sessionid derived_tstamp:t event_vendor event_name event_format event_version
event_fingerprint true_tstamp:t
"""
NAMES: Final = tuple(word.partition(":")[0] for word in _COLUMNS.split())
_KINDS: Final = tuple(word.partition(":")[2] for word in _COLUMNS.split())
_FEWEST: Final = 100
_TIMES: Final = tuple(NAMES.index(name) for name in ("derived_tstamp", "true_tstamp", "collector_tstamp"))

_SCHEMA: Final = re.compile(r"iglu:([a-zA-Z0-9_.-]+)/([a-zA-Z0-9_-]+)/[a-zA-Z0-9_-]+/([0-9]+)-[0-9]+-[0-9]+")
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def read_line(raw: bytes) -> Fields:
    """Return the object that the SDKs make of a line. Raises InvalidRecord with the column's name."""
    try:
        cells = raw.decode().rstrip("\r\n").split("\t")
    except UnicodeDecodeError as error:
        raise InvalidRecord(f"not UTF-8 at byte {error.start}") from None
    if len(cells) < _FEWEST:
        raise InvalidRecord(
            f"the line has {len(cells)} columns, an enriched event of Snowplow has {len(NAMES)}"
        )
    found: Fields = {}
    for name, kind, cell in zip(NAMES, _KINDS, cells, strict=False):
        if cell == "":
            continue
        if kind == "":
            found[name] = cell
        elif kind in "cu":
            for key, value in _described(name, cell, many=kind == "c"):
                if kind == "u":
                    found[key] = value
                    continue
                held = found.setdefault(key, [])
                assert type(held) is list
                held.append(value)
        else:
            try:
                found[name] = _READ[kind](cell)
            except (ValueError, KeyError):
                raise InvalidRecord(
                    f"the column `{name}` is {cell!r:.60}, expected {_WANTED[kind]}"
                ) from None
    return found


def time_of(line: bytes) -> str | None:
    """Return the time of a line as text: the first that is set; None without one."""
    cells = line.split(b"\t", len(NAMES))
    at = next((cells[index] for index in _TIMES if index < len(cells) and cells[index]), None)
    return None if at is None else at.decode("utf-8", "replace")


def _described(name: str, cell: str, *, many: bool) -> list[tuple[str, Json]]:
    """Return the contents of a self-describing JSON column, by the names of their schemas."""
    outer = strict.loads(cell.encode("utf-8", "surrogatepass"))
    inner = outer.get("data") if type(outer) is dict else None
    members = inner if type(inner) is list else [inner]
    found: list[tuple[str, Json]] = []
    for member in members:
        schema = member.get("schema") if type(member) is dict else None
        told = _SCHEMA.fullmatch(schema) if type(schema) is str else None
        if type(member) is not dict or told is None:
            raise InvalidRecord(
                f"the column `{name}` holds what names no schema (iglu:vendor/name/jsonschema/1-0-0)"
            )
        vendor, called, model = told.groups()
        words = _HUMP.sub("_", called).replace("-", "_").lower()
        prefix = "contexts" if many else name
        found.append((f"{prefix}_{re.sub('[.-]', '_', vendor).lower()}_{words}_{model}", member.get("data")))
    return found


def _number(cell: str) -> float:
    value = float(cell)
    if value - value != 0:  # JSON has no NaN and no infinity
        raise ValueError
    return value


def _integer(cell: str) -> int:
    value = int(cell) if len(cell) <= 20 else 2**64
    if not -(2**63) <= value < 2**64:
        raise ValueError
    return value


_READ: Final[dict[str, Callable[[str], Json]]] = {
    "i": _integer,
    "f": _number,
    "b": lambda cell: {"1": True, "0": False}[cell],
    "t": lambda cell: cell.replace(" ", "T") + "Z",
}
_WANTED: Final = {"i": "a whole number", "f": "a number", "b": "0 or 1", "t": "a time"}
