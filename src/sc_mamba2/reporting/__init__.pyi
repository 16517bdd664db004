from .cell_map import (
    CellMap as CellMap,
    class_text as class_text,
    is_scale as is_scale,
    pack_column as pack_column,
    shared_palettes as shared_palettes,
)
from .figures import (
    class_figure as class_figure,
    draw_shares as draw_shares,
    fewer_classes as fewer_classes,
    losses_apart as losses_apart,
    losses_together as losses_together,
    shares_size as shares_size,
)
from .html import (
    Section as Section,
    Table as Table,
    render_explorer as render_explorer,
    render_report as render_report,
)
from .layout import (
    bare as bare,
    class_legend as class_legend,
    class_legends as class_legends,
    lay_out as lay_out,
    point_size as point_size,
    scatter_classes as scatter_classes,
    scatter_values as scatter_values,
)
from .pictures import Picture as Picture, draw_pictures as draw_pictures
from .sections import (
    Scores as Scores,
    ablation_sentences as ablation_sentences,
    comparison as comparison,
    pictures_section as pictures_section,
    read_section as read_section,
    remark_words as remark_words,
    score_table as score_table,
    scores_by_method as scores_by_method,
    shown_score as shown_score,
    task_report as task_report,
    written_section as written_section,
)
from .style import (
    in_style as in_style,
    label as label,
    name_points as name_points,
    new_figure as new_figure,
    palette as palette,
)
from .verdict import (
    COMPARED as COMPARED,
    baseline_sentences as baseline_sentences,
    counted_calls as counted_calls,
    score_clause as score_clause,
    unshared_words as unshared_words,
)
