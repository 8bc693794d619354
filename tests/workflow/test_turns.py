"""Which avatars are made first where jobs run side by side."""

from headstyle.workflow.stylization_plan import turn

AVATARS = ["P1_low", "P1_high", "P2_low"]


def test_all_subjects_first_avatars_come_before_anybodys_second():
    jobs = [(subject, avatar) for subject in "AB" for avatar in AVATARS]
    order = sorted(jobs, key=lambda job: -turn(job[1], AVATARS))
    assert order[:2] == [("A", "P1_low"), ("B", "P1_low")]
    assert order[2:4] == [("A", "P1_high"), ("B", "P1_high")]


def test_an_avatar_outside_the_study_waits():
    assert turn("P9_low", AVATARS) == 0 < min(turn(avatar, AVATARS) for avatar in AVATARS)
