"""The reasons for which land or a raster is refused: one class each, with a stable code and the facts."""

from typing import ClassVar


class GeoRefusal(Exception):
    """Input that this package does not accept. `template` is an English sentence over the names in
    `facts`.
    """

    code: ClassVar[str] = "geo_refused"
    template: ClassVar[str] = "The land or raster input was refused."

    def __init__(self, **facts: object) -> None:
        super().__init__()
        self.facts: dict[str, object] = facts

    def __str__(self) -> str:
        return self.template.format(**self.facts)


# --- files --------------------------------------------------------------------------------------------------


class FileUnreadable(GeoRefusal):
    code = "file_unreadable"
    template = "The file cannot be opened for reading: {reason}."


class FileTooLarge(GeoRefusal):
    code = "file_too_large"
    template = "The file has {size_bytes} bytes; {limit_bytes} are allowed."


class FormatUnsupported(GeoRefusal):
    code = "format_unsupported"
    template = "The file is {found}; zipped shapefiles, GeoPackages and GeoJSON are read."


class ArchiveRefused(GeoRefusal):
    """`reason` is one of: damaged, encrypted, member_name, too_many_members, too_large, ratio, nested,
    several_datasets, nothing_readable."""

    code = "archive_refused"
    template = "The archive was refused ({reason}): {detail}."


class NotAShapefile(GeoRefusal):
    """`reason` is one of: member_missing, header, counts_differ, truncated, unreadable."""

    code = "not_a_shapefile"
    template = "This is not a complete shapefile ({reason}): {detail}."


class NotAGeoPackage(GeoRefusal):
    """`reason` is one of: header, unreadable, no_feature_table, several_layers, layer_unknown, view."""

    code = "not_a_geopackage"
    template = "This is not a GeoPackage that can be read ({reason}): {detail}."


class NotGeoJson(GeoRefusal):
    """`reason` is one of: not_json, not_utf8, nesting, structure."""

    code = "not_geojson"
    template = "This is not GeoJSON that can be read ({reason}): {detail}."


class PrjMissing(GeoRefusal):
    code = "prj_missing"
    template = "The file does not say in which coordinate system it is drawn ({member} is missing)."


class CrsUnknown(GeoRefusal):
    code = "crs_unknown"
    template = "The coordinate system is not known: {crs}."


class CrsConflict(GeoRefusal):
    code = "crs_conflict"
    template = "The file says {found} and the declaration says {declared}."


class DatumShiftUnknown(GeoRefusal):
    """Beijing 1954 and Xi'an 1980 have no public transformation to CGCS2000 that would be good enough for
    land.
    """

    code = "datum_shift_unknown"
    template = "Coordinates in the datum {datum} cannot be brought to CGCS2000 without local parameters."


class ZonePrefixConflict(GeoRefusal):
    code = "zone_prefix_conflict"
    template = (
        "The easting {x} does not fit the coordinate system (false easting {false_easting}); "
        "check the zone prefix."
    )


class AxesSwapped(GeoRefusal):
    code = "axes_swapped"
    template = "The coordinates ({x}, {y}) look like northing before easting, or latitude before longitude."


class EncodingUnknown(GeoRefusal):
    code = "encoding_unknown"
    template = "The text of the attributes cannot be read as {encoding} (row {row}, field {field})."


class TooManyFeatures(GeoRefusal):
    code = "too_many_features"
    template = "The file has {count} features; {limit} are allowed."


class ReaderStopped(GeoRefusal):
    """`reason` is one of: time, memory, died."""

    code = "reader_stopped"
    template = (
        "Reading the file was stopped ({reason}) within its limits of {seconds} s and {memory_mib} MiB."
    )


class RowsRefused(GeoRefusal):
    code = "rows_refused"
    template = "{count} rows of the file were refused."


class AttributeNotWritable(GeoRefusal):
    code = "attribute_not_writable"
    template = "The field {field} of row {row} cannot be written to a shapefile in {encoding}."


# --- polygons -----------------------------------------------------------------------------------------------


class GeometryEmpty(GeoRefusal):
    code = "geometry_empty"
    template = "The feature has no geometry, or an empty one."


class GeometryNotPolygonal(GeoRefusal):
    code = "geometry_not_polygonal"
    template = "Land is drawn as a polygon or multipolygon; this is a {found}."


class GeometryUnreadable(GeoRefusal):
    code = "geometry_unreadable"
    template = "The geometry cannot be read: {reason}."


class GeometryInvalid(GeoRefusal):
    """`lon` and `lat` are the place of the fault in EPSG:4490 degrees."""

    code = "geometry_invalid"
    template = "The outline is not valid ({reason}) at longitude {lon}, latitude {lat}."


class CoordinatesOutOfRange(GeoRefusal):
    code = "coordinates_out_of_range"
    template = "The coordinate ({x}, {y}) is not a place that the coordinate system can describe."


class TooManyVertices(GeoRefusal):
    code = "too_many_vertices"
    template = "The outline has {count} vertices; {limit} are allowed."


class TooManyRings(GeoRefusal):
    code = "too_many_rings"
    template = "The outline has {count} rings; {limit} are allowed."


class TooManyCells(GeoRefusal):
    code = "too_many_cells"
    template = "The outline touches more than {limit} cells of the land register's grid."


# --- rasters ------------------------------------------------------------------------------------------------


class RasterNotGeotiff(GeoRefusal):
    code = "raster_not_geotiff"
    template = "The file {name} is not a GeoTIFF."


class RasterUnreadable(GeoRefusal):
    code = "raster_unreadable"
    template = "The raster {name} cannot be read: {reason}."


class RasterSidecar(GeoRefusal):
    code = "raster_sidecar"
    template = "Beside the raster {name} lies {sidecar}, which would change what it says."


class RasterCrsMissing(GeoRefusal):
    code = "raster_crs_missing"
    template = "The raster {name} does not say in which coordinate system it is."


class RasterCrsUnsupported(GeoRefusal):
    code = "raster_crs_unsupported"
    template = "The raster {name} is in {crs}; degrees or metres are needed."


class RasterRotated(GeoRefusal):
    code = "raster_rotated"
    template = "The raster {name} is rotated or stands on its head; rows must run from north to south."


class RasterTooLarge(GeoRefusal):
    """`what` is one of: pixels, bands, tile, bytes."""

    code = "raster_too_large"
    template = "The raster {name} has {count} ({what}); {limit} are allowed."


class RasterBandMissing(GeoRefusal):
    code = "raster_band_missing"
    template = "The raster {name} has {bands} bands; band {band} was asked for."


class RasterGridMismatch(GeoRefusal):
    code = "raster_grid_mismatch"
    template = "The raster {name} lies on another grid than the one expected ({difference})."


class RasterDoesNotCover(GeoRefusal):
    code = "raster_does_not_cover"
    template = "The raster covers only a share of {covered_share} of parcel {parcel}."


class CoverageNotClosed(GeoRefusal):
    """The shares of a polygon do not add up to its area, so the polygon was not valid."""

    code = "coverage_not_closed"
    template = "The pixel shares of parcel {parcel} differ from its area by a share of {difference}."


class CoverageUnreadable(GeoRefusal):
    code = "coverage_unreadable"
    template = "The stored coverage cannot be used: {reason}."
