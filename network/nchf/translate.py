"""Between the words of TS 32.291 and the engine's: pure, no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from engine.words import FinalUnit, GroupAnswer, GroupReport, ResultCode, Unit, Used
from network.groups import asked_twice, merged
from network.http import wrong
from network.nchf import wire

FAILED = "CHARGING_FAILED"

#: what a rating group can be counted in
_NAMED = (Unit.OCTETS, Unit.SECONDS, Unit.MESSAGES)

#: what the network does when the last grant is used up
_FINAL = {
    FinalUnit.TERMINATE: "TERMINATE",
    FinalUnit.REDIRECT: "REDIRECT",
    FinalUnit.RESTRICT_ACCESS: "RESTRICT_ACCESS",
}


def reports(usages: Sequence[wire.MultipleUnitUsage]) -> tuple[GroupReport, ...]:
    """The rating groups of a request. Raises ``Problem`` for one that asks for two quotas or two units at once."""
    read = [_report(number, usage) for number, usage in enumerate(usages)]
    twice = asked_twice(read)
    if twice is not None:
        raise wrong(FAILED, "multipleUnitUsage", f"rating group {twice} asks for two quotas: one is kept for each")
    return merged(read)


def _report(number: int, usage: wire.MultipleUnitUsage) -> GroupReport:
    asked = usage.requested_unit
    wanted = [] if asked is None else _counted(asked)
    if len(wanted) > 1 and asked is not None and all(_amount(asked, unit) for unit in wanted):
        reason = f"counted in {' and '.join(wanted)} at once"
        raise wrong(FAILED, f"multipleUnitUsage[{number}].requestedUnit", reason)
    # A network element may measure more than it was granted (the time of a volume): what it asks for is meant.
    # Who asks for nothing, or for as much as is right, is charged in the quota's unit, which the engine knows.
    unit = wanted[0] if wanted else None
    return GroupReport(
        rating_group=usage.rating_group,
        unit=unit,
        used=_used(number, usage.used_unit_container) if usage.used_unit_container else None,
        requested=None if asked is None else 0 if unit is None else _amount(asked, unit),
    )


def _counted(asked: wire.Units) -> list[Unit]:
    """The units that are named: those with an amount first, and among them volume first."""
    return sorted((unit for unit in _NAMED if _named(asked, unit)), key=lambda unit: not _amount(asked, unit))


def _named(units: wire.Units, unit: Unit) -> bool:
    if unit is Unit.OCTETS:
        return not (units.total_volume is units.uplink_volume is units.downlink_volume is None)
    return (units.time if unit is Unit.SECONDS else units.service_specific_units) is not None


def _amount(units: wire.Units, unit: Unit) -> int:
    """0 where nothing is named: as much as is right."""
    if unit is Unit.OCTETS:
        return units.total_volume or (units.uplink_volume or 0) + (units.downlink_volume or 0)
    return (units.time if unit is Unit.SECONDS else units.service_specific_units) or 0


def _used(number: int, containers: Sequence[wire.UsedUnitContainer]) -> Used:
    # What stands twice within one request is one container (TS 32.290 §5.2.2.3). Not by its number alone: some give all
    # of theirs the same.
    once = dict.fromkeys(containers)
    up = sum(one.uplink_volume or 0 for one in once)
    down = sum(one.downlink_volume or 0 for one in once)
    # A total without directions goes down, as most traffic does; what exceeds the directions too.
    total = sum(max(one.total_volume or 0, (one.uplink_volume or 0) + (one.downlink_volume or 0)) for one in once)
    used = Used(
        octets_up=up,
        octets_down=down + total - up - down,
        seconds=sum(one.time or 0 for one in once),
        messages=sum(one.service_specific_units or 0 for one in once),
    )
    if max(total, used.seconds, used.messages) > wire.MOST:
        raise wrong(FAILED, f"multipleUnitUsage[{number}].usedUnitContainer", f"more than {wire.MOST} in all")
    return used


def information(
    groups: Iterable[GroupAnswer], usages: Iterable[wire.MultipleUnitUsage]
) -> tuple[wire.MultipleUnitInformation, ...]:
    """What the rating groups may use now, each where ``usages`` ask for it."""
    asking_last = sorted(usages, key=lambda usage: usage.requested_unit is not None)
    upfs = {usage.rating_group: usage.upf_id for usage in asking_last}
    return tuple(_information(group, upfs) for group in groups)


def _information(group: GroupAnswer, upfs: Mapping[int, str | None]) -> wire.MultipleUnitInformation:
    granted = group.granted if group.result is ResultCode.SUCCESS else None
    names = {Unit.OCTETS: "total_volume", Unit.SECONDS: "time", Unit.MESSAGES: "service_specific_units"}
    thresholds = {Unit.OCTETS: "volume", Unit.SECONDS: "time", Unit.MESSAGES: "unit"}
    threshold = {} if group.threshold is None else {f"{thresholds[group.unit]}_quota_threshold": group.threshold}
    return wire.MultipleUnitInformation(
        rating_group=group.rating_group,
        upf_id=upfs.get(group.rating_group),
        result_code=group.result,
        granted_unit=None if granted is None else wire.Units(**{names[group.unit]: granted}),
        validity_time=group.validity_seconds,
        quota_holding_time=group.holding_seconds,
        final_unit_indication=None if group.final_unit is None else _final(group.final_unit, group.redirect_to),
        **threshold,
    )


def _final(action: FinalUnit, redirect_to: str | None) -> wire.FinalUnitIndication:
    server = (
        None
        if redirect_to is None
        else wire.RedirectServer(redirect_address_type="URL", redirect_server_address=redirect_to)
    )
    return wire.FinalUnitIndication(final_unit_action=_FINAL[action], redirect_server=server)
