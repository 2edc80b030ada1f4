from unmask.data.listing import changes, write_listing
from unmask.data.sources import open_source


def test_changes_of_a_data_set_are_counted_and_named(make, tmp_path):
    root = make.write_folder(tmp_path / "set", [f"{i}.png" for i in range(9)])
    write_listing(open_source(root), tmp_path / "listing.gz")
    assert changes(open_source(root), tmp_path / "listing.gz") == ""
    for i in range(6):
        (root / f"{i}.png").rename(root / f"new_{i}.png")
    (root / "8.png").write_bytes(b"")
    found = changes(open_source(root), tmp_path / "listing.gz")
    assert found == (
        "6 added (new_0.png, new_1.png, new_2.png, new_3.png, new_4.png, ...); "
        "6 removed (0.png, 1.png, 2.png, 3.png, 4.png, ...); 1 of another size (8.png)"
    )
