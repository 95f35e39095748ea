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
    """`found` is the name of the format."""

    code = "format_unsupported"
    template = (
        "The file is {found}, which is not read; export it as one of: zipped shapefile, GeoPackage, GeoJSON, "
        "KML or KMZ, GPX track, CSV with WKT, GeoParquet."
    )


class FormatUnknown(FormatUnsupported):
    code = "format_unknown"
    template = (
        "It cannot be told what kind of file this is. Read are: zipped shapefile, GeoPackage, GeoJSON, "
        "KML or KMZ, GPX track, CSV with WKT, GeoParquet."
    )


class FileEmpty(GeoRefusal):
    code = "file_empty"
    template = "The file is empty."


class ArchiveRefused(GeoRefusal):
    """`reason` is one of: damaged, encrypted, method, member_name, too_many_members, too_large, ratio,
    nested, several_datasets.
    """

    code = "archive_refused"
    template = "The archive was refused ({reason}): {detail}."


class NotAShapefile(GeoRefusal):
    """`reason` is one of: member_missing, header, counts_differ, truncated, unreadable."""

    code = "not_a_shapefile"
    template = "This is not a complete shapefile ({reason}): {detail}."


class ShapefileNotZipped(NotAShapefile):
    code = "shapefile_not_zipped"
    template = (
        "A shapefile is several files: pack .shp, .shx, .dbf and .prj of the same name into one .zip archive."
    )


class NotAGeoPackage(GeoRefusal):
    """`reason` is one of: header, unreadable, no_feature_table, several_layers, layer_unknown, view."""

    code = "not_a_geopackage"
    template = "This is not a GeoPackage that can be read ({reason}): {detail}."


class NotGeoJson(GeoRefusal):
    """`reason` is one of: not_json, not_utf8, nesting, structure."""

    code = "not_geojson"
    template = "This is not GeoJSON that can be read ({reason}): {detail}."


class MarkupRefused(GeoRefusal):
    """`reason` is one of: doctype, entity, nesting, size, not_well_formed."""

    code = "markup_refused"
    template = "The XML was refused ({reason}): {detail}."


class NotKml(GeoRefusal):
    """`reason` is one of: network_link."""

    code = "not_kml"
    template = "This KML cannot be read by itself ({reason}): {detail}."


class NotGpx(GeoRefusal):
    """`reason` is one of: no_track."""

    code = "not_gpx"
    template = "There is no land in this GPX file ({reason}): {detail}."


class TrackTooShort(GeoRefusal):
    code = "track_too_short"
    template = "A track around a parcel has at least {needed} points; this one has {points}."


class TrackNotClosed(GeoRefusal):
    """Lengths in whole metres."""

    code = "track_not_closed"
    template = (
        "The track does not come back to where it began: {gap_m} m are missing; "
        "on a walk of {length_m} m, {limit_m} m are allowed."
    )


class NotCsv(GeoRefusal):
    """`reason` is one of: no_outlines, several_outlines, heading, columns, quoting, field_size,
    several_systems.
    """

    code = "not_csv"
    template = "This table cannot be read ({reason}): {detail}."


class NotGeoParquet(GeoRefusal):
    """`reason` is one of: unreadable, no_geo, column, encoding, edges, crs, too_large."""

    code = "not_geoparquet"
    template = "This is not GeoParquet that can be read ({reason}): {detail}."


class PrjMissing(GeoRefusal):
    """`suggestions` are the systems that the coordinates would fit."""

    code = "prj_missing"
    template = "The file does not say in which coordinate system it is drawn ({member} is missing)."


class CrsZoneToConfirm(PrjMissing):
    code = "crs_zone_to_confirm"
    template = (
        "The file does not say in which coordinate system it is drawn ({member} is missing). "
        "Eastings near {x} carry a zone number: declare {suggestions} if the survey was in CGCS2000."
    )


class CrsMeridianUnknown(PrjMissing):
    code = "crs_meridian_unknown"
    template = (
        "The file does not say in which coordinate system it is drawn ({member} is missing). "
        "Eastings near {x} have no zone number: ask the surveyor for the central meridian and declare it, "
        "in CGCS2000 one of {suggestions}."
    )


class CrsDatumUnknown(PrjMissing):
    code = "crs_datum_unknown"
    template = (
        "The file does not say in which coordinate system it is drawn ({member} is missing). "
        "The coordinates are degrees: ask whether they are CGCS2000, WGS 84, or those of a map service, "
        "and declare it."
    )


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


class AxesNotSwapped(GeoRefusal):
    code = "axes_not_swapped"
    template = "The coordinates ({x}, {y}) were declared as exchanged; they look right as they are."


class FarFromMeridian(GeoRefusal):
    """Said of a row, not refused: areas are right in any zone."""

    code = "far_from_meridian"
    template = (
        "The land lies {away_degrees} degrees from the central meridian {meridian} of the zone that was "
        "declared, outside of it; check the zone."
    )


class DatumSuspected(GeoRefusal):
    """The evidence says that a file of degrees is in a web map's datum. It is let in when the uploader says
    which datum it is. `evidence` holds the facts for each hypothesis (`geo.datum.Evidence`).
    """

    code = "datum_suspected"
    template = (
        "The coordinates look like {hypothesis}, so the land would lie {shift_m} m away. Of {weighed} rows, "
        "once converted, {twins} are parcels registered already, {bordering} run along registered borders "
        "({border_m} m), {freed} no longer lie on registered ground, {in_county} lie in their county only "
        "then; words in the file: {words}. Declare gcj02 or bd09 to have them converted, or wgs84 or "
        "cgcs2000 if that is what they are."
    )


class DatumConflict(GeoRefusal):
    """GCJ-02 or BD-09 was declared for a projected survey file, which cannot be in it."""

    code = "datum_conflict"
    template = "The file is in {crs}; coordinates in {datum} are degrees or Web Mercator."


class EncodingUnknown(GeoRefusal):
    code = "encoding_unknown"
    template = "The text of the attributes cannot be read as {encoding} (row {row}, field {field})."


class TooManyFeatures(GeoRefusal):
    code = "too_many_features"
    template = "The file has {count} features; {limit} are allowed."


class HeadingsRefused(GeoRefusal):
    code = "headings_refused"
    template = (
        "The file has {columns} columns, the longest name {length} characters; "
        "at most {most_columns} columns are read, with names of at most {most_length} characters."
    )


class TableTooLarge(GeoRefusal):
    code = "table_too_large"
    template = "The rows of the file have {values} values together; {limit} are allowed."


class ReaderStopped(GeoRefusal):
    """`reason` is one of: time, memory, died, given_up."""

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


class GeometryBeyondRepair(GeometryInvalid):
    """An invalid outline for which nothing is proposed. `why` is one of: too_many_vertices,
    too_many_crossings, nothing_left, changes_too_much, not_land (`geo.repair.NoRepair`), or not_tried in a
    file with very many invalid outlines.
    """

    code = "geometry_beyond_repair"
    template = (
        "The outline is not valid ({reason}) at longitude {lon}, latitude {lat}; "
        "no repair is proposed ({why})."
    )


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


class TooManyCrossings(GeoRefusal):
    """Of two outlines that lie on each other."""

    code = "too_many_crossings"
    template = (
        "Two outlines cross each other so often that they cannot be compared "
        "({crossings} times or more; {limit} are allowed)."
    )


class TooMuchOverlap(GeoRefusal):
    """A file as a whole: `vertices` of both outlines are counted for each two that lie on each other."""

    code = "too_much_overlap"
    template = (
        "The outlines lie on each other so often that they cannot be compared ({vertices} vertices of pairs; "
        "{limit} are allowed); the file may hold the same parcels several times."
    )


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


class RasterMisplaced(GeoRefusal):
    """`what` is one of: west edge, north edge, cell width, cell height, east edge, south edge."""

    code = "raster_misplaced"
    template = "The raster {name} cannot lie where it says: its {what} is {value}."


class RasterTooLarge(GeoRefusal):
    """`what` is one of: pixels, bands, tile, bytes of a tile, bytes."""

    code = "raster_too_large"
    template = "The raster {name} has {count} ({what}); {limit} are allowed."


class RasterTypeUnsupported(GeoRefusal):
    code = "raster_type_unsupported"
    template = "The raster {name} holds numbers of type {dtype}, which are not read."


class RasterIsPicture(GeoRefusal):
    code = "raster_is_picture"
    template = "The raster {name} is a picture ({interpretation}); measured values are needed."


class RasterBandUnnamed(GeoRefusal):
    code = "raster_band_unnamed"
    template = "The raster {name} has {bands} bands; say which of them is meant."


class RasterWithoutValues(GeoRefusal):
    code = "raster_without_values"
    template = "The raster {name} has no value in any cell of band {band}."


class RasterValuesNotFinite(GeoRefusal):
    """NaN is a gap only where the file says so."""

    code = "raster_values_not_finite"
    template = (
        "The raster {name} holds NaN in {nan_cells} cells and infinities in {infinite_cells}, and does not "
        "declare them as nodata."
    )


class RasterValuesOutOfRange(GeoRefusal):
    code = "raster_values_out_of_range"
    template = "The raster {name} holds values from {minimum} to {maximum}; possible are {least} to {most}."


class RasterValuesNotWhole(GeoRefusal):
    code = "raster_values_not_whole"
    template = "The raster {name} holds values between whole numbers; classes are whole numbers."


class RasterCopyDiffers(GeoRefusal):
    """`row` and `column` are where the block begins whose values are not those of the source."""

    code = "raster_copy_differs"
    template = "The copy of the raster {name} does not hold its values at row {row}, column {column}."


class RasterBandMissing(GeoRefusal):
    code = "raster_band_missing"
    template = "The raster {name} has {bands} bands; band {band} was asked for."


class RasterGridMismatch(GeoRefusal):
    code = "raster_grid_mismatch"
    template = "The raster {name} lies on another grid than the one expected ({difference})."


class RasterDoesNotCover(GeoRefusal):
    code = "raster_does_not_cover"
    template = "The raster covers only a share of {covered_share} of parcel {parcel}."


class RasterNotClasses(GeoRefusal):
    code = "raster_not_classes"
    template = "The raster {name} does not hold classes: whole numbers, some thousands of them at most."


class CoverageNotClosed(GeoRefusal):
    """The shares of a polygon do not add up to its area, so the polygon was not valid."""

    code = "coverage_not_closed"
    template = "The pixel shares of parcel {parcel} differ from its area by a share of {difference}."


class CoverageUnreadable(GeoRefusal):
    code = "coverage_unreadable"
    template = "The stored coverage cannot be used: {reason}."


# --- work on other machines ---------------------------------------------------------------------------------


class ClusterRefusal(GeoRefusal):
    """Work cannot be done on the machines that were named. Nothing is wrong with the land or the rasters."""

    code = "cluster_refused"
    template = "The cluster cannot do this work."


class ClusterNotInstalled(ClusterRefusal):
    code = "cluster_not_installed"
    template = (
        "Work on other machines needs the libraries of the extra `cluster`: pip install tanhui[cluster]."
    )


class ClusterAddressRefused(ClusterRefusal):
    """Whoever reaches a scheduler runs programs on its workers."""

    code = "cluster_address_refused"
    template = (
        "{address} is not taken as the address of a scheduler: it is tls://HOST:PORT, or tcp://HOST:PORT on "
        "this machine."
    )


class ClusterUnreachable(ClusterRefusal):
    code = "cluster_unreachable"
    template = "The scheduler at {address} cannot be reached: {reason}."


class ClusterWithoutWorkers(ClusterRefusal):
    code = "cluster_without_workers"
    template = "The scheduler at {address} has had no worker for {seconds} seconds."


class ClusterDiffers(ClusterRefusal):
    """`what` is a library, `geo` and the like for the code of a package, or `arithmetic`; `theirs` may be
    `missing`, or why a machine could not say.
    """

    code = "cluster_differs"
    template = (
        "{host} has {what} {theirs}, this machine {ours}: the numbers might not be the same bit for bit."
    )


class ClusterWorkersLost(ClusterRefusal):
    """`task` is the number of an item of the step, from 1."""

    code = "cluster_workers_lost"
    template = "{count} workers died while they had item {task} of {total} of the step {step}."


class WorkerFileMissing(ClusterRefusal):
    code = "worker_file_missing"
    template = "The worker on {host} does not see the file {path}: {reason}."


class WorkerFileDiffers(ClusterRefusal):
    """`expected` and `found` are the digests (SHA-256)."""

    code = "worker_file_differs"
    template = "The file {path} on {host} has the digest {found}; {expected} was expected."
