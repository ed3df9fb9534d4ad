"""Decides whether an actor may do an act: the table of roles, plus the rules that a table cannot express. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from recorder.permissions import (
    HEARING_ROLES,
    HEARS,
    LOCAL_ACTS,
    MAX_REASON_CHARACTERS,
    MIN_REASON_CHARACTERS,
    NEEDS_REASON,
    SCOPE_OF,
    TABLE,
    WATCHES_ICT,
    Act,
    Actor,
    Allowed,
    Application,
    Fault,
    LocalUser,
    Person,
    Refusal,
    Role,
)
from recorder.rules.wording import words
from recorder.rules.words.people import VERBS


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingFacts:
    """Operator and team of the recording in question; None where there is no recording yet."""

    operator: str | None
    team: str | None

    @property
    def is_known(self) -> bool:
        """Tell whether there is a recording in question."""
        return self.operator is not None or self.team is not None

    def lies_within(self, part: Allowed, person: Person) -> bool:
        """Tell whether the recording is within the part that a person's role covers."""
        return (part.own_only and self.operator == person.display_name) or (
            part.team_only and self.team is not None and self.team in person.teams
        )


def may(
    actor: Actor,
    act: Act,
    *,
    reason: str = "",
    operator: str | None = None,
    team: str | None = None,
    extension: str | None = None,
    has_grant: bool = False,
) -> Allowed | Refusal:
    """Decide whether an actor may do an act.

    Args:
        actor: Who asks.
        act: What they want to do.
        reason: Required for the acts in NEEDS_REASON.
        operator: Operator of the recording; None where there is no recording yet (a search).
        team: The recording's team at the time of the call; None likewise.
        extension: Extension of the call or recording; None where there is none yet.
        has_grant: Whether the person has an access grant for the recording. Pass True to ask what a grant would allow.

    Returns:
        Allowed, with the break-glass mark and the limit to part of the recordings; or Refusal.
    """
    if isinstance(actor, Application):
        return _application(actor, act, extension)
    if isinstance(actor, LocalUser):
        if act in LOCAL_ACTS:
            return Allowed()
        return Refusal(f"Only a person with an account can {VERBS[act]}: give --as NAME.")
    return _person(actor, act, reason, RecordingFacts(operator=operator, team=team), has_grant=has_grant)


def combines_admin(roles: Collection[Role]) -> bool:
    """Tell whether the roles combine `admin` with a role that hears recordings.

    No new account may have both; an existing one hears nothing.
    """
    return Role.ADMIN in roles and bool(HEARING_ROLES.intersection(roles))


def knows_of(person: Person, *, operators: Collection[str], team: str) -> bool:
    """Tell whether a person may know that a recording exists: they were on the call, or their role sees it.

    Args:
        person: Who asks. Access grants are not considered.
        operators: Operators of the call.
        team: Its team at the time; empty if unknown.
    """
    if person.display_name in operators:
        return True
    return isinstance(may(person, Act.VIEW, operator=next(iter(operators), ""), team=team), Allowed)


def knows_all(person: Person) -> bool:
    """Tell whether a person may know of every recording."""
    return knows_of(person, operators=(), team="")


def operator_for(actor: Actor, first: str, everybody: Collection[str]) -> str:
    """Return the operator to judge a recording by: the actor if they were in the call, else the first operator.

    Args:
        actor: Who asks.
        first: The operator that the call began with.
        everybody: Every operator of the call; several if it was transferred.
    """
    is_own = isinstance(actor, Person) and actor.display_name in everybody
    return actor.display_name if isinstance(actor, Person) and is_own else first


def _application(actor: Application, act: Act, extension: str | None) -> Allowed | Refusal:
    if act not in SCOPE_OF:
        return Refusal(f"Only a person can {VERBS[act]}, not a token.")
    if SCOPE_OF[act] not in actor.scopes:
        return Refusal(f"Token {actor.name} needs the scope {SCOPE_OF[act]} to {VERBS[act]}.")
    if extension is not None and actor.extensions and extension not in actor.extensions:
        return Refusal(f"Token {actor.name} is not valid for this extension.")
    return Allowed()


def _person(person: Person, act: Act, reason: str, about: RecordingFacts, *, has_grant: bool) -> Allowed | Refusal:
    grants = [TABLE[role][act] for role in person.roles if act in TABLE[role]]
    if not grants:
        sentence = f"Your role does not allow you to {VERBS[act]}. Roles that do: {_roles_for(act)}."
        return Refusal(sentence, lacks_role=True)
    if act in HEARS and combines_admin(person.roles):
        return Refusal(f"An administrator may not {VERBS[act]}, and may have no role that listens to recordings.")
    if act in WATCHES_ICT and Role.ICT in person.roles:
        return Refusal(f"ICT may not {VERBS[act]}: that role runs the recorder.")
    if act in HEARS and not person.is_proven:
        return Refusal(f"You need an authenticator app to {VERBS[act]}. Set one up under Your account.")
    is_by_grant = has_grant and any(grant.needs_grant for grant in grants)
    grants = [Allowed()] if is_by_grant else [grant for grant in grants if not grant.needs_grant]
    if not grants:
        return Refusal(f"You need permission to {VERBS[act]}. Ask for it with `recorder requests add`.")
    part = _part(grants)
    if part.is_part and not has_grant and about.is_known and not about.lies_within(part, person):
        return Refusal(_PART_SENTENCES[part.own_only, part.team_only])
    is_glass = any(grant.break_glass for grant in grants)
    if act in NEEDS_REASON or is_glass:
        if len(reason.strip()) < MIN_REASON_CHARACTERS:
            return _of_reason(f"Enter a reason to {VERBS[act]}, in words that can be checked later.")
        if len(reason) > MAX_REASON_CHARACTERS:
            return _of_reason(f"The reason must be {MAX_REASON_CHARACTERS} characters or fewer.")
    return replace(part, break_glass=is_glass)


def _of_reason(sentence: str) -> Refusal:
    return Refusal(sentence, Fault.INCOMPLETE, "reason")


def _part(grants: Collection[Allowed]) -> Allowed:
    """Return the recordings that several grants cover together."""
    if not all(grant.is_part for grant in grants):
        return Allowed()
    return Allowed(own_only=any(grant.own_only for grant in grants), team_only=any(grant.team_only for grant in grants))


_PART_SENTENCES: Mapping[tuple[bool, bool], str] = {
    (True, False): "Your role allows you to see only recordings of your own calls.",
    (False, True): "Your role allows you to see only recordings of your teams.",
    (True, True): "Your roles allow you to see only recordings of your own calls and of your teams.",
}


def _roles_for(act: Act) -> str:
    return ", ".join(words(role) for role in Role if act in TABLE[role])
