"""What the kit's README says."""

README = """\
# A kit to certify a metric of multi-view consistency

Every folder in `items/` holds the views of one head. In some items the views agree, in others they
disagree by a known amount. Your metric scores each item; the card says whether it orders them.

| file | holds |
|---|---|
| `kit.json` | the list of items, and the units |
| `items/NAME/images/VIEW.webp` | the views to score: sRGB, straight alpha, lossless |
| `items/NAME/pairs.csv` | which views are compared: target, source |
| `items/NAME/cameras.json` | cameras: OpenCV axes, world to camera, pixel centers at +0.5 |
| `items/NAME/transforms.json` | the same cameras as nerfstudio reads them |
| `items/NAME/item.json` | the folder of the item's geometry |
| `geometry/NAME/depth/VIEW.png` | z in the camera, 16 bit, see below |
| `geometry/NAME/unedited/VIEW.webp` | the same views before the edit |
| `SHA256SUMS` | checksums: `sha256sum --check --quiet SHA256SUMS` |

A depth times `depth_unit_m` of `kit.json` is z in meters; 0 is no surface.

Give back a CSV with one row per item:

    item,value,seconds
    i0000,0.1234,1.5

`seconds` is optional. A metric of pairs may give one row per pair instead, with the columns item,
target, source, value; a metric of views the columns item, view, value. An item has the mean over
its views, and a view the mean over its pairs. Leave a value empty where your metric is not defined.

What each item is lies with who made the kit, who runs

    headstyle certify KIT YOUR.csv --name "your metric" --direction lower
"""
