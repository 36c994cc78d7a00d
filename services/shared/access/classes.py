"""Groups nodes with equal access into classes, from the masks of `matching`, and decides which classes see each other.

A profile is a set of equal masks; a class is a profile, plus the owner where some rule has `autogroup:self` as
destination. Work is in profiles and classes; two nodes are never compared.

For `autogroup:self` only the user's own devices are considered: a router that serves a prefix of the tailnet's own
range does not see them by that alone, which keeps such a rule to the cost of the user's devices.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from services.shared.access.directory import Directory, Member
from services.shared.access.matching import Masks, Matching
from services.shared.access.services import Service

_Profile = tuple[int, int, int, tuple[str, ...], bool, tuple[Service, ...]]


class Classes:
    """The classes of one snapshot."""

    def __init__(
        self,
        directory: Directory,
        matching: Matching,
        hides_ipv4: Callable[[Member], bool],
        previous: Classes | None = None,
    ) -> None:
        self._directory, self._matching = directory, matching
        self.masks = self._masks(previous)
        owners, serving = self._self_owners(directory), directory.services.by_node
        profiles: dict[_Profile, int] = {}
        classes: dict[tuple[int, int, bool], int] = {}
        self.of_node: dict[int, int] = {}
        self.members: list[list[int]] = []
        self._profile_of: list[int] = []
        self._owner_of: list[int] = []
        self._self_source: list[bool] = []
        self._of_profile: dict[int, list[int]] = defaultdict(list)
        self._of_owner: dict[int, list[int]] = defaultdict(list)
        for node_id, one in directory.members.items():
            masks = self.masks[node_id]
            hidden = hides_ipv4(one)
            profile = profiles.setdefault(
                (
                    masks.source,
                    masks.source_address,
                    masks.destination,
                    one.subnets,
                    hidden,
                    serving.get(node_id, ()),
                ),
                len(profiles),
            )
            owner = one.user_id if one.user_id in owners else 0
            key = profile, owner, bool(owner and masks.source_address & matching.self)
            number = classes.get(key)
            if number is None:
                number = classes[key] = len(classes)
                self.members.append([])
                self._profile_of.append(profile)
                self._owner_of.append(owner)
                self._self_source.append(key[2])
                self._of_profile[profile].append(number)
                if owner:
                    self._of_owner[owner].append(number)
            self.of_node[node_id] = number
            self.members[number].append(node_id)
        self._profiles = list(profiles)
        self._seen_profiles: dict[int, list[int]] = {}

    def _masks(self, previous: Classes | None) -> dict[int, Masks]:
        """Return the masks of each node; those of unchanged nodes are copied from `previous`."""
        masks_of, members = self._matching.masks_of, self._directory.members
        if previous is None or not self._matching.same_for(previous._matching):
            return {id_: masks_of(one) for id_, one in members.items()}
        before, known = previous._directory.members, previous.masks
        masks: dict[int, Masks] = {}
        for id_, one in members.items():
            kept = before.get(id_) is one and not one.subnets and not one.exits
            masks[id_] = known[id_] if kept else masks_of(one)
        return masks

    def _self_owners(self, directory: Directory) -> set[int]:
        """Return the users with a node that is a source of a grant to `autogroup:self`."""
        if not self._matching.self:
            return set()
        found = (one.user_id for id_, one in directory.members.items() if self._is_self_source(id_))
        return {user_id for user_id in found if user_id}

    def _is_self_source(self, node_id: int) -> bool:
        return bool(self.masks[node_id].source_address & self._matching.self)

    def sees(self, viewer: int, other: int) -> bool:
        """Return whether members of one class see members of the other."""
        if self._profile_sees(self._profile_of[viewer], self._profile_of[other]):
            return True
        owner = self._owner_of[viewer]
        return bool(
            owner and owner == self._owner_of[other] and (self._self_source[viewer] or self._self_source[other])
        )

    def _profile_sees(self, viewer: int, other: int) -> bool:
        first, second = self._profiles[viewer], self._profiles[other]
        return bool(first[0] & second[2] or second[0] & first[2])

    def visible(self, viewer: int) -> Sequence[int]:
        """Return every class that the viewer's class sees, ascending."""
        profile = self._profile_of[viewer]
        seen = self._seen_profiles.get(profile)
        if seen is None:
            every = range(len(self._profiles))
            seen = self._seen_profiles[profile] = [other for other in every if self._profile_sees(profile, other)]
        found = {number for other in seen for number in self._of_profile[other]}
        if owner := self._owner_of[viewer]:
            found.update(number for number in self._of_owner[owner] if self.sees(viewer, number))
        return sorted(found)
